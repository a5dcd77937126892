"""A gauge that is read when somebody asks for it."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Gauge
from prometheus_client.metrics_core import Metric


class ScrapedGauge(Gauge):
    """A gauge with one label, whose series are those that ``read`` returns at each scrape, by the label's value."""

    read: Callable[[], Mapping[str, float]] = staticmethod(dict)

    def collect(self) -> Iterable[Metric]:
        self.clear()
        for value, number in self.read().items():
            self.labels(value).set(number)
        return super().collect()
