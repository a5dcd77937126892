"""Limits and counts the requests of a predictor."""

from collections.abc import Iterator
from contextlib import contextmanager

from switchyard.http.api_errors import ApiError
from switchyard.telemetry.metrics import InferenceMetrics, Outcome


class Admission:
    """The one count of requests in flight, shared by HTTP and gRPC."""

    def __init__(self, model: str, limit: int, metrics: InferenceMetrics) -> None:
        self._limit = limit
        self._model = model
        self._in_flight = 0
        self._gauge = metrics.in_flight.labels(model)
        self._requests = metrics.requests
        self._latency = metrics.latency

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Hold a concurrency slot for the duration of the block.

        Raises:
            ApiError: no slot is free.
        """
        # Rejected, not queued: Knative's queue-proxy and local mode's activator queue already, by a
        # ``containerConcurrency`` that is no larger than this limit.
        if self._in_flight >= self._limit:
            raise ApiError("overloaded", f"{self._in_flight} requests are in flight; try again shortly")
        self._in_flight += 1
        self._gauge.set(self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1
            self._gauge.set(self._in_flight)

    def count(self, protocol: str, outcome: Outcome, seconds: float) -> None:
        self._requests.labels(self._model, protocol, outcome).inc()
        self._latency.labels(self._model, protocol).observe(seconds)
