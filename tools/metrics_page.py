"""Writes docs/reference/metrics.md from ``switchyard.telemetry.metrics``, where each metric says what it means.

``python -m tools.metrics_page``. What other programs expose beside ours is read from the expositions that tests have of
them, whose first line says where they are from.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from switchyard.telemetry.metrics import gateway, graph, local, predictors, repository, routing
from switchyard.telemetry.process import Component, registry_of

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "reference" / "metrics.md"
EXPOSITIONS = ROOT / "tests" / "testdata" / "expositions"

_HEAD = """\
<!-- Written by `python -m tools.metrics_page`: edit switchyard/telemetry/metrics/. -->
# Metrics

Every name, label and meaning is declared in `switchyard/telemetry/metrics/`, and this page is written from it. Label
values come from the catalog, from files and from fixed lists, never from requests: a name that is not served counts as
`unknown`. A model that is served no more has no series ten minutes later. Each page is in Prometheus' text format, or
in OpenMetrics, with exemplars that lead to traces, for who asks for that. How many series there may be:
[limits](limits.md#metrics).
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """Metrics of one kind of process, and where it exposes them."""

    title: str
    where: str
    holders: tuple[type, ...]


SECTIONS = (
    Section(
        title="Gateway",
        where="`GET /metrics` on the gateway; where it asks for keys, for [one of their own]"
        "(../concepts/tenancy.md#what-a-key-may-do) or an administrator's.",
        holders=(
            gateway.CallMetrics,
            gateway.TenantMetrics,
            gateway.AccessMetrics,
            gateway.UsageMetrics,
            gateway.CacheMetrics,
            gateway.SocketMetrics,
            gateway.BatchMetrics,
        ),
    ),
    Section(
        title="Predictors",
        where="`GET /metrics` on the predictor, beside [what its engine exposes](#engines).",
        holders=(predictors.InferenceMetrics,),
    ),
    Section(
        title="Complexity predictor",
        where="`GET /metrics` on it, beside the metrics of every predictor.",
        holders=(routing.RoutingMetrics,),
    ),
    Section(
        title="Graph router",
        where="`GET /metrics` on a port of its own, 9464 or `METRICS_PORT`: every path of the router's port belongs to "
        "the graph, and 9090 and 9091 to Knative's sidecar. Nodes and steps are named as in the graph, a step without "
        "a name by its index from 0.",
        holders=(graph.GraphMetrics,),
    ),
    Section(
        title="Local mode",
        where="`GET /metrics` on the supervisor's own port, `control` in `.switchyard/run.json`.",
        holders=(local.LocalMetrics,),
    ),
    Section(
        title="Model repository",
        where="`GET /metrics` of `python -m switchyard.sync`.",
        holders=(repository.RepositoryMetrics,),
    ),
)

ENGINES = {
    "vLLM": ("vllm.prom", "vllm-options.prom"),
    "Triton": ("triton.prom", "triton-options.prom"),
}


def families(holder: type) -> Iterator[MetricWrapperBase]:
    """Yield the families that a class of metrics declares, in its order."""
    for value in vars(holder(CollectorRegistry())).values():
        if isinstance(value, MetricWrapperBase):
            yield value


def text() -> str:
    """Return the page."""
    return "\n".join([_HEAD, *_every_process(), *(line for one in SECTIONS for line in _section(one)), *_engines()])


def _every_process() -> Iterator[str]:
    yield "## Every process\n"
    components = ", ".join(f"`{one}`" for one in get_args(Component))
    yield f"Each of those below, by the `component` of `switchyard_build_info`: {components}. What begins with"
    yield "`process_` and `python_` is the client library's.\n"
    yield from _table(("name", "type", "meaning"), (_row_of(one) for one in registry_of("gateway").collect()))


def _row_of(family: Metric) -> tuple[str, str, str]:
    name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
    return f"`{name}`", family.type, family.documentation.strip()


def _section(section: Section) -> Iterator[str]:
    yield f"## {section.title}\n"
    yield section.where + "\n"
    for holder in section.holders:
        if len(section.holders) > 1:
            yield " ".join((holder.__doc__ or "").split()) + "\n"
        yield from _table(("name", "type", "labels", "meaning"), map(_own_row, families(holder)))


def _own_row(family: MetricWrapperBase) -> tuple[str, str, str, str]:
    name = family._name + ("_total" if family._type == "counter" else "")
    return f"`{name}`", str(family._type), ", ".join(family._labelnames) or "–", family._documentation


def _engines() -> Iterator[str]:
    yield "## Engines\n"
    for engine, files in ENGINES.items():
        yield f"### {engine}\n"
        for file in files:
            source, _, page = (EXPOSITIONS / file).read_text(encoding="utf-8").partition("\n")
            yield source.removeprefix("# ") + "\n"
            rows = (_row_of(one) for one in text_string_to_metric_families(page) if not _is_ours(one))
            yield from _table(("name", "type", "meaning"), rows)


def _is_ours(family: Metric) -> bool:
    return not family.name.startswith(("vllm:", "nv_"))


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
    yield ""


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
