"""What the metrics of several processes share: how a family is made, and values of labels."""

from collections.abc import Sequence
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from switchyard.telemetry.histogram import OneThreadHistogram
from switchyard.telemetry.scraped import ScrapedGauge

Outcome = Literal["ok", "rejected", "failed", "cancelled"]
Phase = Literal["preload", "spawn", "import", "load", "warm-up", "ready"]

_BELOW_A_SECOND = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5)
LATENCY_BUCKETS = (*_BELOW_A_SECOND, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class Families:
    """Makes metric families of one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def counter(self, name: str, text: str, *labels: str) -> Counter:
        """Make a counter; it is exposed as ``<name>_total``."""
        return Counter(name, text, labels, registry=self._registry)

    def gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, registry=self._registry)

    def scraped(self, name: str, text: str, label: str) -> ScrapedGauge:
        return ScrapedGauge(name, text, (label,), registry=self._registry)

    def histogram(self, name: str, text: str, *labels: str, buckets: Sequence[float] = LATENCY_BUCKETS) -> Histogram:
        return OneThreadHistogram(name, text, labels, buckets=buckets, registry=self._registry)


def load_time(make: Families) -> Gauge:
    """Make the one family of all that must happen before a model responds, whichever process does it."""
    return make.gauge(
        "model_load_time_seconds",
        "Seconds of the last load by phase: of a predictor `import`, `load`, `warm-up`, `ready`, which add up from the "
        "start of its process; `load` alone of a model in Triton, while it is loaded; of the repository what comes "
        "before: `download`, and those of `seconds` in `status.json`.",
        "model",
        "phase",
    )
