"""The stages that count: limits, usage, and alerts of budgets."""

from switchyard.gateway.assembly.parts import Parts
from switchyard.gateway.lookup import own_instances
from switchyard.gateway.pipeline import Stage
from switchyard.gateway.quota.alerts import Alerts
from switchyard.gateway.quota.estimates import Estimates
from switchyard.gateway.quota.local_shares import LocalShares
from switchyard.gateway.quota.webhook import Webhook, read_secret, warn_if_shared
from switchyard.gateway.settlements import Settlements
from switchyard.gateway.stages.quota import quota
from switchyard.gateway.usage.billing import Billing
from switchyard.gateway.usage.metering import metering
from switchyard.settings import SettingsError


def counted_stages(
    given: Parts, settlements: Settlements | None, shares: LocalShares | None, alerts: Alerts | None
) -> tuple[Stage, ...]:
    """Return the stages that limit calls and write their usage; none where there is nobody to count, or nowhere."""
    tenants, ledger, metrics = given.tenants, given.ledger, given.meter.metrics.usage
    if tenants is None or ledger is None or settlements is None or shares is None or alerts is None:
        return ()
    billing = Billing(lambda: tenants.current.prices, given.meter, is_own=own_instances(given.own))
    estimates = Estimates()
    limited = quota(
        ledger=ledger,
        settlements=settlements,
        shares=shares,
        metrics=metrics,
        billing=billing,
        alerts=alerts,
        estimates=estimates,
    )
    return limited, metering(settlements=settlements, billing=billing, estimates=estimates)


def alerts_of(given: Parts) -> Alerts | None:
    """Return who tells of budgets, None where there are none.

    Raises:
        SettingsError: the secret of the webhook cannot be read.
    """
    if given.tenants is None or given.ledger is None:
        return None
    settings, webhook = given.settings, None
    if (file := settings.budget_webhook_secret_file) is not None:
        try:
            read_secret(file)
            warn_if_shared(file)
        except (OSError, ValueError) as err:
            raise SettingsError(f"BUDGET_WEBHOOK_SECRET_FILE: {err}") from err
        webhook = Webhook(settings.budget_webhook_url, file)
    return Alerts(given.ledger, given.meter.metrics.usage, settings.budget_alerts, webhook)
