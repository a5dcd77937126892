"""One inference request from its arrival to its end: its model held in memory, its place, its span, its counts."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from predictors.vision.description import Description
from predictors.vision.refusal import Refused
from predictors.vision.residency import Residency
from switchyard.http.forward import ClientGone
from switchyard.telemetry.metrics import InferenceMetrics, Outcome
from switchyard.telemetry.tracing import Tracer

UNKNOWN = "unknown"


@dataclass(kw_only=True, slots=True)
class Call:
    """A request being answered; who answers it notes the HTTP ``status``, which is 0 until then.

    ``traceparent`` is what Triton gets.
    """

    description: Description
    traceparent: str | None
    status: int = field(default=0)


class Calls:
    """One limit for all models of the service.

    Who waits for a model to be loaded takes no place, so that a slow load does not keep the others from answering.
    Label values are names that the repository has; all others count as ``unknown``.
    """

    def __init__(self, residency: Residency, *, limit: int, metrics: InferenceMetrics, tracer: Tracer) -> None:
        self._residency = residency
        self._limit = limit
        self._metrics = metrics
        self._tracer = tracer
        self._in_flight = 0

    @asynccontextmanager
    async def answering(self, model: str, protocol: str, traceparent: str | None) -> AsyncIterator[Call]:
        """Holds the model in memory and takes a place; counts by the status noted, or by the refusal raised.

        Raises:
            Refused: no place is free, or the model cannot be had.
        """
        began = time.monotonic()
        attributes = {"model": model, "protocol": protocol} if self._tracer.enabled else None
        span = self._tracer.start("predictor", traceparent, attributes)
        status = 0
        try:
            async with self._residency.use(model) as description:
                with self._place(model):
                    call = Call(description=description, traceparent=span.traceparent)
                    try:
                        yield call
                    finally:
                        status = call.status
        except Refused as err:
            status = err.status
            raise
        except ClientGone:
            status = 0
            raise
        except Exception:
            status = 500
            raise
        finally:
            outcome = _outcome(status)
            label = self._label(model)
            self._metrics.requests.labels(label, protocol, outcome).inc()
            self._metrics.latency.labels(label, protocol).observe(time.monotonic() - began)
            span.end(None if outcome in ("ok", "rejected") else outcome)

    @contextmanager
    def to_triton(self, traceparent: str | None) -> Iterator[str | None]:
        """A span around what Triton does; gives the context for it."""
        span = self._tracer.start("triton", traceparent)
        error: str | None = "failed"
        try:
            yield span.traceparent
            error = None
        finally:
            span.end(error)

    @contextmanager
    def _place(self, model: str) -> Iterator[None]:
        if self._in_flight >= self._limit:
            raise Refused(503, f"{self._in_flight} requests are being answered; try again shortly")
        self._in_flight += 1
        gauge = self._metrics.in_flight.labels(self._label(model))
        gauge.inc()
        try:
            yield
        finally:
            self._in_flight -= 1
            gauge.dec()

    def _label(self, model: str) -> str:
        return model if self._residency.knows(model) else UNKNOWN


def _outcome(status: int) -> Outcome:
    if status == 0:
        return "cancelled"
    if status < 400:
        return "ok"
    return "rejected" if status < 500 else "failed"
