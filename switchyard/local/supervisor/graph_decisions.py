"""The decisions of the steps of graphs, read from their metrics, for ``switchyard status``."""

from collections.abc import Mapping

from prometheus_client.parser import text_string_to_metric_families

from switchyard.http.client import Client, Timeouts
from switchyard.http.client.errors import UpstreamError
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.plan import arguments

_TIMEOUTS = Timeouts(connect=1.0, first_byte=2.0, total=3.0)
_DECISIONS, _SHARE, _TARGET = "routing_decisions_total", "routing_share", "routing_share_target"


class Decisions:
    """Reads the metrics of the running steps behind ``queues``; a step that does not respond is left out."""

    def __init__(self, queues: Mapping[str, RequestQueue], client: Client) -> None:
        self._queues = queues
        self._client = client

    async def by_step(self) -> dict[str, dict[str, object]]:
        """Return for each step the number of requests by tier and by reason, and the share of the reasoning tier."""
        found = {name: summary(await self._metrics_page(queue)) for name, queue in self._queues.items()}
        return {name: row for name, row in found.items() if row}

    async def _metrics_page(self, queue: RequestQueue) -> str:
        if queue.address is None:
            return ""
        url = f"{arguments.loopback_url(queue.address.http_port)}/metrics"
        try:
            response = await self._client.request(b"GET", url, (), timeouts=_TIMEOUTS)
            return (await response.read()).decode()
        except UpstreamError:
            return ""


def summary(page: str) -> dict[str, object]:
    """Extract the decisions from a metrics page; empty if it has none."""
    tiers: dict[str, int] = {}
    reasons: dict[str, int] = {}
    gauges: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if sample.name == _DECISIONS:
                tier, reason = sample.labels["tier"], sample.labels["reason"]
                tiers[tier] = tiers.get(tier, 0) + int(sample.value)
                reasons[reason] = reasons.get(reason, 0) + int(sample.value)
            elif sample.name in (_SHARE, _TARGET):
                gauges[sample.name] = sample.value
    if _SHARE not in gauges:
        return {}
    return {"tiers": tiers, "reasons": reasons, "share": gauges[_SHARE], "target": gauges.get(_TARGET, 0.0)}


def sentence(row: Mapping[str, object]) -> str:
    """Format ``summary`` for people."""
    tiers, reasons = row["tiers"], row["reasons"]
    assert isinstance(tiers, Mapping)
    assert isinstance(reasons, Mapping)
    if not tiers:
        return "has decided nothing yet"
    counted = ", ".join(f"{tier} {count}" for tier, count in sorted(tiers.items()))
    why = ", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items()))
    return f"{counted} ({why}); reasoning share {row['share']:.2f}, target {row['target']:.2f}"
