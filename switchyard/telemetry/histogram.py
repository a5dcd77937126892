"""A histogram that costs a request little."""

import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client import Histogram, disable_created_metrics
from prometheus_client.samples import Exemplar, Sample
from prometheus_client.utils import floatToGoString

from switchyard.telemetry.tracing import Span

# When each series began, as a series of its own: of counters twice as many, which no rule or board asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

TRACE_ID = "trace_id"  # by which Prometheus and Grafana lead from an exemplar to its trace


def exemplar_of(span: Span | None) -> dict[str, str] | None:
    """Return what leads from an observation to its trace, None for a request of which none was recorded."""
    return {TRACE_ID: span.trace_id} if span is not None and span.sampled else None


class OneThreadHistogram(Histogram):
    """Prometheus' histogram for values that one thread observes, as a process does that serves by an event loop.

    The library's own takes a lock for the sum and another for the bucket, and tries the buckets one by one: with two
    histograms, a twentieth of what a chat costs the gateway. Whoever reads it from another thread may see the sum of
    one value more than the count.
    """

    def _metric_init(self) -> None:
        self._counts = [0] * len(self._upper_bounds)
        self._total = 0.0
        self._exemplars: dict[int, Exemplar] = {}  # by bucket, the last of each

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Count ``amount``; an ``exemplar``, such as ``exemplar_of`` makes, stands with its bucket until the next."""
        bucket = bisect_left(self._upper_bounds, amount)
        self._counts[bucket] += 1
        self._total += amount
        if exemplar is not None:
            self._exemplars[bucket] = Exemplar(exemplar, amount, time.time())

    def _child_samples(self) -> Iterator[Sample]:
        count = 0
        for bucket, (bound, count) in enumerate(zip(self._upper_bounds, accumulate(self._counts), strict=True)):
            le = floatToGoString(bound)  # type: ignore[no-untyped-call]
            yield Sample("_bucket", {"le": le}, float(count), None, self._exemplars.get(bucket))
        yield Sample("_count", {}, float(count))
        if self._upper_bounds[0] >= 0:
            yield Sample("_sum", {}, self._total)
