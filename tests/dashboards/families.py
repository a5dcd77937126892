"""Families of metrics that exist: declared by our code, scraped from a real program, or written from documentation."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.process_collector import ProcessCollector

from switchyard.telemetry import metrics

EXPOSITIONS = Path(__file__).parents[1] / "testdata" / "expositions"
# Prometheus makes these of each scrape, of its rules and alerts.
OF_PROMETHEUS = {
    "up": "gauge",
    "scrape_duration_seconds": "gauge",
    "scrape_samples_scraped": "gauge",
    "ALERTS": "gauge",
}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def declared() -> Iterator[MetricWrapperBase]:
    """Yield all families that ``switchyard.telemetry.metrics`` declares; some are of several processes."""
    for holder in vars(metrics).values():
        if isinstance(holder, type) and holder.__name__.endswith("Metrics"):
            parts = vars(holder(CollectorRegistry())).values()
            yield from (part for part in parts if isinstance(part, MetricWrapperBase))


def own() -> dict[str, str]:
    """Names of all samples that processes of ours expose, with the type of their family."""
    found = {
        metric._name + suffix: str(metric._type)
        for metric in declared()
        for suffix in SUFFIXES.get(str(metric._type), ("",))
    }
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return found | {sample.name: family.type for family in registry.collect() for sample in family.samples}


@cache
def known() -> dict[str, str]:
    """Names of all samples that boards and rules may use, with the type of their family."""
    found = own() | OF_PROMETHEUS
    for path in sorted(EXPOSITIONS.glob("*.prom")):
        families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
        found |= {sample.name: family.type for family in families for sample in family.samples}
    return found
