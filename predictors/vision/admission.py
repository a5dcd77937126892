"""Admits inference requests: keeps the model loaded, takes a concurrency slot, traces and counts each request."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from prometheus_client import Counter, Gauge, Histogram

from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.model_config import ModelConfig
from switchyard.http.api_errors import ApiError
from switchyard.http.request_errors import ClientDisconnectedError
from switchyard.telemetry import attributes
from switchyard.telemetry.histogram import exemplar_of
from switchyard.telemetry.metrics.families import Outcome
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.trace_context import for_recorder
from switchyard.telemetry.tracing import CLIENT, SERVER, Span, Tracer

UNKNOWN = "unknown"
_NOTICED_SECONDS = 0.001  # less is no load, but a look at what is loaded


@dataclass(kw_only=True, slots=True)
class AdmittedRequest:
    """A request in flight; its handler sets the HTTP ``status``, which is 0 until then.

    ``traceparent`` is the trace context for what it does.
    """

    config: ModelConfig
    traceparent: str | None
    status: int = field(default=0)


class _Counts:
    """The counters of each model, protocol and outcome, looked up once."""

    def __init__(self, metrics: InferenceMetrics) -> None:
        self._metrics = metrics
        self._found: dict[tuple[str, str, Outcome], tuple[Counter, Histogram]] = {}

    def note(
        self, model: str, protocol: str, outcome: Outcome, seconds: float, exemplar: dict[str, str] | None
    ) -> None:
        # prometheus_client's `labels` takes a lock and builds a key each time, which costs more than counting.
        found = self._found.get((model, protocol, outcome))
        if found is None:
            requests = self._metrics.requests.labels(model, protocol, outcome)
            found = self._found[model, protocol, outcome] = requests, self._metrics.latency.labels(model, protocol)
        found[0].inc()
        found[1].observe(seconds, exemplar)


class _RequestRecord:
    """The span and the duration of one request, counted at its end."""

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
        span, outcome = self._span, _outcome(status)
        self._counts.note(label, self._protocol, outcome, time.monotonic() - self._began, exemplar_of(span))
        failed = outcome == "failed"
        if span.sampled or failed:
            span.set(attributes.MODEL, label)
            span.set(attributes.PROTOCOL, self._protocol)
            span.set(attributes.OUTCOME, outcome)
            if status:
                span.set(attributes.STATUS, status)
        span.end(outcome if failed else None)

    def loaded(self) -> None:
        """Say that the model is loaded, which may have taken a while."""
        seconds = time.monotonic() - self._began
        if self._span.sampled and seconds > _NOTICED_SECONDS:
            self._span.set(attributes.LOAD_SECONDS, round(seconds, 6))


class _InFlight:
    """Requests in flight by model; the gauge reads them when it is asked, as setting it would cost each request."""

    def __init__(self, gauge: Gauge) -> None:
        self.total = 0
        self._gauge = gauge
        self._of: dict[str, int] = {}

    def add(self, model: str) -> None:
        if model not in self._of:
            self._of[model] = 0
            self._gauge.labels(model).set_function(lambda: self._of[model])
        self._of[model] += 1
        self.total += 1

    def remove(self, model: str) -> None:
        self._of[model] -= 1
        self.total -= 1


class Slot:
    """A request in flight outside of a ``with`` block; call ``end`` with the HTTP status, 0 after a disconnect.

    ``traceparent`` is the trace context for Triton, None unless the trace is recorded.
    """

    __slots__ = ("_admission", "_model", "_record", "traceparent")

    def __init__(self, admission: "Admission", model: str, record: _RequestRecord) -> None:
        self._admission = admission
        self._model = model
        self._record = record
        self.traceparent = for_recorder(record.traceparent)

    def end(self, status: int) -> None:
        """Count the request and free its slot."""
        self._admission.release(self._model)
        self._record.close(self._model, status)


class Admission:
    """One concurrency limit for all models of the service.

    A request that waits for its model to load takes no slot, so that a slow load does not block other models. Labels
    are names of models in the repository; all others count as ``unknown``.
    """

    def __init__(self, loaded_models: LoadedModels, *, limit: int, metrics: InferenceMetrics, tracer: Tracer) -> None:
        self._loaded_models = loaded_models
        self._limit = limit
        self._in_flight = _InFlight(metrics.in_flight)
        self._counts = _Counts(metrics)
        self._tracer = tracer
        self.traced = tracer.enabled

    @asynccontextmanager
    async def admit(self, model: str, protocol: str, traceparent: str | None) -> AsyncIterator[AdmittedRequest]:
        """Keep the model loaded and hold a slot for the block; count by the status that was set or the error raised.

        Raises:
            ApiError: no slot is free, or the model cannot be loaded.
        """
        record = self._record(model, protocol, traceparent)
        status = 0
        try:
            # The slot comes second: a request that waits for a load must not keep others from their loaded models.
            async with self._loaded_models.use(model) as config:
                record.loaded()
                with self._slot(model):
                    call = AdmittedRequest(config=config, traceparent=record.traceparent)
                    try:
                        yield call
                    finally:
                        status = call.status
        except ApiError as err:
            status = err.status
            raise
        except ClientDisconnectedError:
            status = 0
            raise
        except Exception:
            status = 500
            raise
        finally:
            # Looked up at the end: a model whose folder was found during the request is known by now.
            record.close(self._label(model), status)

    def try_acquire(self, model: str, protocol: str, traceparent: str | None) -> "Slot | None":
        """Do the same for a model that is loaded; return None when no slot is free."""
        # No await from the caller's look at what is loaded to the end of this: a sweep could unload the model in
        # between.
        if self._in_flight.total >= self._limit:
            return None
        self._loaded_models.acquire(model)
        self._in_flight.add(model)
        return Slot(self, model, self._record(model, protocol, traceparent))

    def release(self, model: str) -> None:
        """End what ``try_acquire`` began."""
        self._loaded_models.release(model)
        self._in_flight.remove(model)

    def _record(self, model: str, protocol: str, traceparent: str | None) -> "_RequestRecord":
        return _RequestRecord(self._counts, protocol, self._tracer.start("infer", traceparent, kind=SERVER))

    @contextmanager
    def to_triton(self, traceparent: str | None) -> Iterator[str | None]:
        """Open a span around Triton's work; yield the trace context for it, None unless the trace is recorded."""
        span = self._tracer.start("triton", traceparent, kind=CLIENT)
        error: str | None = None
        try:
            yield for_recorder(span.traceparent)
        except ApiError as err:
            error = err.code if err.status >= 500 else None
            raise
        except Exception as err:
            error = type(err).__name__
            raise
        finally:
            span.end(error)

    @contextmanager
    def _slot(self, model: str) -> Iterator[None]:
        if self._in_flight.total >= self._limit:
            raise ApiError("overloaded", f"{self._in_flight.total} requests are in flight; try again shortly")
        label = self._label(model)
        self._in_flight.add(label)
        try:
            yield
        finally:
            self._in_flight.remove(label)

    def _label(self, model: str) -> str:
        return model if self._loaded_models.knows(model) else UNKNOWN


def _outcome(status: int) -> Outcome:
    if status == 0:
        return "cancelled"
    if status < 400:
        return "ok"
    return "rejected" if status < 500 else "failed"
