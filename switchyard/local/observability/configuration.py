"""The configuration of Prometheus and Alertmanager on one machine, of the rules and routes that a cluster has too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from switchyard.http.client.origin import split_url
from switchyard.local.errors import LocalError
from switchyard.local.observability.addresses import Addresses
from switchyard.local.program import ALERTS_VARIABLE

CHECKOUT = Path(__file__).parents[3]
INTERVAL_VARIABLE = "SWITCHYARD_SCRAPE_INTERVAL"
RULES_VARIABLE = "SWITCHYARD_RULES"

# Four samples in the shortest window of the rules, which is a minute, even if one is lost.
_INTERVAL = "10s"
_RULES = CHECKOUT / "dashboards" / "rules"
_ROUTES = CHECKOUT / "dashboards" / "alertmanager.yaml"

# Of one page: a gateway has at most 369 000 (docs/reference/limits.md); one that grows past this would take Prometheus
# with it.
_SAMPLES = 500_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What may be chosen: how often pages are scraped, the folder of rules, and the webhook that alerts go to."""

    interval: str = _INTERVAL
    rules: Path = _RULES
    alerts_to: str = field(default="", repr=False)

    @staticmethod
    def of(environ: Mapping[str, str]) -> "Choices":
        """Read them from variables.

        Raises:
            LocalError: the webhook's address is none; the message does not have it.
        """
        alerts_to = environ.get(ALERTS_VARIABLE, "")
        if alerts_to and not _is_address(alerts_to):
            raise LocalError(
                f"alerts go to a webhook, an address with http:// or https://, without user and password; "
                f"{ALERTS_VARIABLE} has none"
            )
        return Choices(
            interval=environ.get(INTERVAL_VARIABLE) or _INTERVAL,
            rules=Path(environ.get(RULES_VARIABLE) or _RULES).absolute(),
            alerts_to=alerts_to,
        )


def _is_address(text: str) -> bool:
    try:
        split_url(text)
    except ValueError:
        return False
    return True


def prometheus(addresses: Addresses, control: str, choices: Choices, gateway_key: Path) -> str:
    """Return Prometheus' configuration; the supervisor, at ``control``, says what is to be scraped at any time.

    ``gateway_key`` is the file with the key to the gateway's metrics, which is sent to no other process.
    """
    followed = {
        "http_sd_configs": [{"url": f"{control}/targets", "refresh_interval": choices.interval}],
        "sample_limit": _SAMPLES,
        "follow_redirects": False,
    }
    # Each target has its own name of a job, by which these two share them.
    gateway = {"source_labels": ["job"], "regex": "gateway"}
    jobs = [
        {"job_name": "switchyard", **followed, "relabel_configs": [{**gateway, "action": "drop"}]},
        {
            "job_name": "gateway",
            **followed,
            "relabel_configs": [{**gateway, "action": "keep"}],
            "authorization": {"credentials_file": str(gateway_key)},
            # Of this machine, but the gateway's certificate is for the names by which others reach it.
            "tls_config": {"insecure_skip_verify": True},
        },
        *(
            {"job_name": job, "static_configs": [{"targets": [address], "labels": {"namespace": "local"}}]}
            for job, address in _own(addresses).items()
        ),
    ]
    alertmanagers = [{"static_configs": [{"targets": [addresses.address("alertmanager")]}]}]
    content = {
        "global": {
            "scrape_interval": choices.interval,
            "scrape_timeout": choices.interval,
            "evaluation_interval": choices.interval,
        },
        "rule_files": [f"{choices.rules}/*.yaml"],
        "alerting": {"alertmanagers": alertmanagers},
        "scrape_configs": jobs,
        "storage": {"exemplars": {"max_exemplars": 20_000}},  # some 100 bytes each
    }
    return yaml.safe_dump(content, sort_keys=False)


def _own(addresses: Addresses) -> Mapping[str, str]:
    return {
        "prometheus": addresses.address("prometheus"),
        "alertmanager": addresses.address("alertmanager"),
        "collector": addresses.address("collector_metrics"),
        "jaeger": addresses.address("jaeger_health"),
    }


def alertmanager(relay: str, relay_key: Path, routes: Path = _ROUTES) -> str:
    """Return Alertmanager's configuration: routes and inhibition as shipped, and as webhook the URL ``relay``, if any.

    Its API shows all of this but secrets, and no address counts as one (0.25): the key is in the file ``relay_key``.
    """
    content: dict[str, Any] = yaml.safe_load(routes.read_text())
    http = {"authorization": {"credentials_file": str(relay_key)}, "follow_redirects": False}
    hooks = [{"url": relay, "send_resolved": True, "http_config": http}] if relay else []
    content["receivers"] = [
        {"name": receiver["name"], "webhook_configs": hooks} for receiver in content.get("receivers", ())
    ]
    return yaml.safe_dump(content, sort_keys=False)
