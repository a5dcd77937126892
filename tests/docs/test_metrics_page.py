"""docs/reference/metrics.md against the module that declares every metric."""

import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from switchyard.telemetry.metrics import (
    AccessMetrics,
    CallMetrics,
    GraphMetrics,
    InferenceMetrics,
    LocalMetrics,
    RepositoryMetrics,
    RoutingMetrics,
    TenantMetrics,
    UsageMetrics,
)

HOLDERS = (
    InferenceMetrics,
    CallMetrics,
    TenantMetrics,
    AccessMetrics,
    UsageMetrics,
    GraphMetrics,
    LocalMetrics,
    RepositoryMetrics,
    RoutingMetrics,
)
PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()


def declared() -> dict[str, tuple[str | None, str]]:
    """Exposed name to type and labels, as the page writes them."""
    found: dict[str, tuple[str | None, str]] = {}
    for holder in HOLDERS:
        for metric in vars(holder(CollectorRegistry())).values():
            assert isinstance(metric, MetricWrapperBase)
            name = metric._name + ("_total" if metric._type == "counter" else "")
            shape = (metric._type, ", ".join(metric._labelnames) or "–")
            assert found.setdefault(name, shape) == shape, f"{name} differs between processes"
    return found


def test_the_page_lists_every_metric_with_its_type_and_labels() -> None:
    process = {"switchyard_build_info": ("info", "version, component")}
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([^|]+) \|", PAGE, re.MULTILINE)
    assert {name: (kind, labels) for name, kind, labels in rows} == process | declared()
