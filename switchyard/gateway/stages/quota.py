"""Stage: a call takes what it needs of its limits before it runs, and settles on what it used when it ends."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from switchyard.gateway.call import Call
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.quota import responses
from switchyard.gateway.quota.alerts import Alerts
from switchyard.gateway.quota.claims import Amounts, AppliedLimit, applied, reserved, spent
from switchyard.gateway.quota.estimates import Estimates, as_usage, is_limited, used
from switchyard.gateway.quota.reservations import Reservations, StoreAwayError
from switchyard.gateway.settlements import Settlements
from switchyard.gateway.usage.billing import Billing
from switchyard.gateway.usage.entries import Outcome
from switchyard.http.api_errors import ApiError
from switchyard.store.ledger import Claim, Denial, Grant, Ledger
from switchyard.telemetry.metrics import GatewayMetrics

logger = logging.getLogger(__name__)


_SHADOW_SECONDS = 10.0  # between two lines in the log, of all limits together; the metric has every one


def quota(
    *,
    ledger: Ledger,
    settlements: Settlements,
    metrics: GatewayMetrics,
    billing: Billing,
    alerts: Alerts,
    now: Callable[[], float] = time.time,
) -> Stage:
    """Reject calls that do not fit their limits; ``now`` returns seconds since 1970.

    A running stream is never cut: what it takes beyond its reservation counts against the calls after it.
    """
    limited = _Quota(ledger, settlements, metrics, billing, alerts, now)

    def stage(call: Call, proceed: Proceed) -> Awaitable[None]:
        identity = call.identity
        if identity is None or identity.limits is None or not is_limited(call.route):
            return proceed(call)
        assert call.model is not None
        limits = applied(identity, call.model.name, now())
        return limited.run(call, proceed, limits) if limits else proceed(call)

    return stage


class _Quota:
    def __init__(
        self,
        ledger: Ledger,
        settlements: Settlements,
        metrics: GatewayMetrics,
        billing: Billing,
        alerts: Alerts,
        now: Callable[[], float],
    ) -> None:
        self._reservations = Reservations(
            ledger, settlements, lambda operation: metrics.store_errors.labels(operation).inc()
        )
        self._billing = billing
        self._alerts = alerts
        self._estimates = Estimates()
        self._metrics = metrics
        self._now = now
        self._shadow_logged = float("-inf")

    async def run(self, call: Call, proceed: Proceed, limits: Sequence[AppliedLimit]) -> None:
        identity = call.identity
        assert identity is not None
        assert call.model is not None
        estimate = self._estimates.of(call)
        estimate = replace(estimate, nano_dollars=self._billing.cost(call.model.name, as_usage(estimate)))
        claims = reserved(limits, estimate)
        try:
            call_id, outcome = await self._reservations.reserve(identity.tenant, claims)
        except StoreAwayError:
            if closed := next((one for one in limits if one.limit.closed and not one.limit.shadow), None):
                message = f"a limit of {closed.owner} cannot be checked, as the store does not respond; try again"
                raise ApiError("limits_unknown", message, retry_after=1) from None
            await proceed(call)
            return
        call.edge.add_headers(responses.headers(limits, outcome.levels, call.route.shape, self._now()))
        if isinstance(outcome, Denial):
            raise self._denied(call, limits, claims, outcome)
        self._note_shadows(limits, outcome)
        settling = _Settling(
            self._reservations, self._estimates, self._billing, self._alerts, call, call_id, limits, estimate
        )
        call.settle = settling.settle
        try:
            await proceed(call)
        except asyncio.CancelledError:
            settling.cancelled = True
            raise
        except Exception:
            settling.failed = True
            raise
        finally:
            await settling.settle()

    def _denied(self, call: Call, limits: Sequence[AppliedLimit], claims: Sequence[Claim], denial: Denial) -> ApiError:
        assert call.identity is not None
        assert call.identity.limits is not None
        self._count(limits[denial.denied], "enforced")
        self._alerts.denied(call.identity.tenant, limits[denial.denied], denial.levels[denial.denied])
        return responses.denied(limits, claims, denial, call.identity.limits.zone, self._now())

    def _note_shadows(self, limits: Sequence[AppliedLimit], grant: Grant) -> None:
        for one, level in zip(limits, grant.levels, strict=True):
            if one.limit.shadow and level.used > one.most:
                self._count(one, "shadow")
                if self._now() - self._shadow_logged > _SHADOW_SECONDS:
                    self._shadow_logged = self._now()
                    fields = {"limit": one.limit.unit, "per": one.limit.per, "of": one.owner, "most": one.limit.most}
                    logger.info("a shadow limit would deny calls", extra=fields)

    def _count(self, one: AppliedLimit, mode: str) -> None:
        self._metrics.limit_denials.labels(one.limit.unit, one.limit.per or "", mode).inc()


class _Settling:
    """How one call is settled: once, by whoever comes first."""

    def __init__(
        self,
        reservations: Reservations,
        estimates: Estimates,
        billing: Billing,
        alerts: Alerts,
        call: Call,
        call_id: str,
        limits: Sequence[AppliedLimit],
        estimate: Amounts,
    ) -> None:
        self._reservations = reservations
        self._estimates = estimates
        self._billing = billing
        self._alerts = alerts
        self._call = call
        self._call_id = call_id
        self._limits = limits
        self._estimate = estimate
        self._begun = False
        self.cancelled = False
        self.failed = False

    async def settle(self) -> None:
        """Write what the call took."""
        if self._begun:
            return
        self._begun = True
        assert self._call.identity is not None
        claims = spent(self._limits, self._amounts())
        outcome: Outcome = "error" if self.failed else "cancelled" if self.cancelled else "ok"
        entry = self._billing.entry(self._call, self._call_id, outcome)
        tenant = self._call.identity.tenant
        if levels := await self._reservations.settle(tenant, self._call_id, claims, entry):
            self._alerts.settled(tenant, self._limits, levels)

    def _amounts(self) -> Amounts:
        """Return what the call took: nothing if it failed, and what was estimated where no engine says."""
        call, usage = self._call, self._call.usage
        assert call.model is not None
        if self.failed or call.status >= 400 or not (call.status or self.cancelled):
            return Amounts()
        if usage is not None:
            if not self.cancelled:
                self._estimates.learn(call, usage)
            return used(usage, self._billing.cost(call.model.name, usage))
        if self.cancelled and not call.edge.started:  # nothing was generated, or nobody saw it
            sent = Amounts(input_tokens=self._estimate.input_tokens)
            return replace(sent, nano_dollars=self._billing.cost(call.model.name, as_usage(sent)))
        return self._estimate
