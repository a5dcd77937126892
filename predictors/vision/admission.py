"""One inference request from its arrival to its end: its model held in memory, its place, its span, its counts."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from prometheus_client import Counter, Histogram

from predictors.vision.refusal import Refused
from predictors.vision.triton.model_config import Description
from predictors.vision.triton.residency import Residency
from switchyard.http.request_errors import ClientDisconnectedError
from switchyard.telemetry.metrics import InferenceMetrics, Outcome
from switchyard.telemetry.tracing import Span, Tracer

UNKNOWN = "unknown"


@dataclass(kw_only=True, slots=True)
class Call:
    """A request being answered; who answers it notes the HTTP ``status``, which is 0 until then.

    ``traceparent`` is what Triton gets.
    """

    description: Description
    traceparent: str | None
    status: int = field(default=0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A request that is being answered outside of any block; ``end`` takes the HTTP status, 0 if nobody waits."""

    traceparent: str | None
    end: Callable[[int], None]


class _Counts:
    """The counters of each model, protocol and outcome, looked up once."""

    def __init__(self, metrics: InferenceMetrics) -> None:
        self._metrics = metrics
        self._found: dict[tuple[str, str, Outcome], tuple[Counter, Histogram]] = {}

    def note(self, model: str, protocol: str, outcome: Outcome, seconds: float) -> None:
        found = self._found.get((model, protocol, outcome))
        if found is None:
            requests = self._metrics.requests.labels(model, protocol, outcome)
            found = self._found[model, protocol, outcome] = requests, self._metrics.latency.labels(model, protocol)
        found[0].inc()
        found[1].observe(seconds)


class _Record:
    """The span and the time of one request, counted at its end."""

    __slots__ = ("_began", "_counts", "_protocol", "_span")

    def __init__(self, counts: _Counts, protocol: str, span: Span) -> None:
        self._began = time.monotonic()
        self._counts = counts
        self._protocol = protocol
        self._span = span

    @property
    def traceparent(self) -> str | None:
        return self._span.traceparent

    def close(self, label: str, status: int) -> None:
        outcome = _outcome(status)
        self._counts.note(label, self._protocol, outcome, time.monotonic() - self._began)
        self._span.end(None if outcome in ("ok", "rejected") else outcome)


class Calls:
    """One limit for all models of the service.

    Who waits for a model to be loaded takes no place, so that a slow load does not keep the others from answering.
    Label values are names that the repository has; all others count as ``unknown``.
    """

    def __init__(self, residency: Residency, *, limit: int, metrics: InferenceMetrics, tracer: Tracer) -> None:
        self._residency = residency
        self._limit = limit
        self._in_flight_gauge = metrics.in_flight
        self._counts = _Counts(metrics)
        self._tracer = tracer
        self._in_flight = 0

    @asynccontextmanager
    async def answering(self, model: str, protocol: str, traceparent: str | None) -> AsyncIterator[Call]:
        """Holds the model in memory and takes a place; counts by the status noted, or by the refusal raised.

        Raises:
            Refused: no place is free, or the model cannot be had.
        """
        record = self._record(model, protocol, traceparent)
        status = 0
        try:
            async with self._residency.use(model) as description:
                with self._place(model):
                    call = Call(description=description, traceparent=record.traceparent)
                    try:
                        yield call
                    finally:
                        status = call.status
        except Refused as err:
            status = err.status
            raise
        except ClientDisconnectedError:
            status = 0
            raise
        except Exception:
            status = 500
            raise
        finally:
            record.close(self._label(model), status)

    def at_once(self, model: str, protocol: str, traceparent: str | None) -> "Running | None":
        """As ``answering`` for a model that is loaded; None while no place is free."""
        if self._in_flight >= self._limit:
            return None
        self._residency.take(model)
        self._in_flight += 1
        gauge = self._in_flight_gauge.labels(model)
        gauge.inc()
        record = self._record(model, protocol, traceparent)

        def end(status: int) -> None:
            self._residency.give_back(model)
            self._in_flight -= 1
            gauge.dec()
            record.close(model, status)

        return Running(traceparent=record.traceparent, end=end)

    def _record(self, model: str, protocol: str, traceparent: str | None) -> "_Record":
        attributes = {"model": model, "protocol": protocol} if self._tracer.enabled else None
        return _Record(self._counts, protocol, self._tracer.start("predictor", traceparent, attributes))

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
        gauge = self._in_flight_gauge.labels(self._label(model))
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
