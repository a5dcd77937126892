"""Families of metrics that exist: declared by our code, scraped from a real program, or written from documentation."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from dashboards.alerting import files, slos
from dashboards.alerting.rules import Record
from switchyard.telemetry.metrics import gateway, graph, local, predictors, repository, routing
from switchyard.telemetry.process import registry_of

EXPOSITIONS = Path(__file__).parents[1] / "testdata" / "expositions"
# Prometheus makes these of each scrape, of its rules and alerts.
OF_PROMETHEUS = {
    "up": "gauge",
    "scrape_duration_seconds": "gauge",
    "scrape_samples_scraped": "gauge",
    "scrape_samples_post_metric_relabeling": "gauge",
    "ALERTS": "gauge",
}
OF_PROCESSES = (gateway, graph, local, predictors, repository, routing)
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}


def declared() -> Iterator[MetricWrapperBase]:
    """Yield all families that ``switchyard.telemetry.metrics`` declares; some are of several processes."""
    for holder in (holder for module in OF_PROCESSES for holder in vars(module).values()):
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
    of_a_process = registry_of("gateway").collect()
    return found | {sample.name: family.type for family in of_a_process for sample in family.samples}


def recorded() -> set[str]:
    """Names of the series that rules record."""
    groups = [group for of_file in files.groups(slos.read()).values() for group in of_file]
    return {rule.name for group in groups for rule in group.rules if isinstance(rule, Record)}


@cache
def known() -> dict[str, str]:
    """Names of all samples that boards and rules may use, with the type of their family."""
    found = own() | OF_PROMETHEUS | dict.fromkeys(recorded(), "gauge")
    for path in sorted(EXPOSITIONS.glob("*.prom")):
        found |= exposed(path.read_text(encoding="utf-8"))
    return found


def exposed(page: str) -> dict[str, str]:
    """Names of the samples of a page, with the type of their family; the client's parser renames Triton's counters."""
    found, kind = {}, "untyped"
    for line in page.splitlines():
        if line.startswith("# TYPE "):
            kind = line.rpartition(" ")[2]
        elif line and not line.startswith("#"):
            found[line.partition(" ")[0].partition("{")[0]] = kind
    return found
