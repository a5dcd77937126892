"""Limits, counts and traces the requests of a predictor."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from switchyard.http.api_errors import ApiError
from switchyard.http.asgi.usage import Counted, counted
from switchyard.telemetry import attributes
from switchyard.telemetry.histogram import exemplar_of
from switchyard.telemetry.metrics.families import Outcome
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import SERVER, Span, Tracer

ENGINE = "vllm"


class RequestRecord:
    """One request from its admission until ``close``; ``traceparent`` is the trace context for the engine."""

    def __init__(self, admission: "Admission", protocol: str, span: Span) -> None:
        self._admission = admission
        self._protocol = protocol
        self._span = span
        self._began = time.monotonic()
        self._before = Counted()
        self._counts: Counted | None = None
        if span.sampled:
            self._counts = _counts()
            self._before.add(self._counts)

    @property
    def traceparent(self) -> str | None:
        return self._span.traceparent

    def set(self, key: str, value: str | int) -> None:
        self._span.set(key, value)

    def close(self, outcome: Outcome, status: int = 0) -> None:
        """Count the request, and end its span; ``status`` is that of HTTP, 0 without one."""
        self._admission.count(self._protocol, outcome, time.monotonic() - self._began, self._span)
        span, failed = self._span, outcome == "failed"
        if span.sampled or failed:
            if status:
                span.set(attributes.STATUS, status)
            span.set(attributes.OUTCOME, outcome)
            if self._counts is not None:
                _set_tokens(span, self._counts, self._before)
        span.end(outcome if failed else None)


class Admission:
    """The one count of requests in flight, shared by HTTP and gRPC."""

    def __init__(self, model: str, limit: int, metrics: InferenceMetrics, tracer: Tracer) -> None:
        self._limit = limit
        self._model = model
        self._in_flight = 0
        self._gauge = metrics.in_flight.labels(model)
        self._requests = metrics.requests
        self._latency = metrics.latency
        self._tracer = tracer

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

    def record(self, protocol: str, operation: str, traceparent: str | None) -> RequestRecord:
        """Begin to measure a request; ``operation`` is what OpenTelemetry calls what it asks for, or empty."""
        span = self._tracer.start(f"{operation or 'infer'} {self._model}", traceparent, kind=SERVER)
        if span.sampled:
            span.set(attributes.MODEL, self._model)
            span.set(attributes.PROTOCOL, protocol)
            if operation:
                span.set(attributes.OPERATION, operation)
                span.set(attributes.PROVIDER, ENGINE)
                span.set(attributes.REQUEST_MODEL, self._model)
        return RequestRecord(self, protocol, span)

    def count(self, protocol: str, outcome: Outcome, seconds: float, span: Span | None = None) -> None:
        """Count a request that has ended, with its trace as an exemplar of its time."""
        self._requests.labels(self._model, protocol, outcome).inc()
        self._latency.labels(self._model, protocol).observe(seconds, exemplar_of(span))


def _counts() -> Counted:
    """Return what the engine counts of this request, asked for by the gateway or by its span alone."""
    counts = counted.get()
    if counts is None:
        counts = Counted()
        counted.set(counts)
    return counts


def _set_tokens(span: Span, counts: Counted, before: Counted) -> None:
    prompt = counts.prompt_tokens - before.prompt_tokens
    cached = counts.cached_tokens - before.cached_tokens
    if not prompt:
        return
    span.set(attributes.INPUT_TOKENS, prompt)
    span.set(attributes.OUTPUT_TOKENS, counts.completion_tokens - before.completion_tokens)
    span.set(attributes.CACHED_TOKENS, cached)
    span.set(attributes.CACHE, "hit" if cached else "miss")
    if reasoning := counts.reasoning_tokens - before.reasoning_tokens:
        span.set(attributes.REASONING_TOKENS, reasoning)
