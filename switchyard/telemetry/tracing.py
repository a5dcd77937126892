"""OpenTelemetry spans, off until ``OTEL_EXPORTER_OTLP_ENDPOINT`` is set.

OpenTelemetry is imported only when it is on. Whether a request is sampled is decided before anything else: of those
that are not, a span is its ids, which the next hop gets, and two attribute reads. One that ends with an error is
recorded all the same, by every process that sees the error.
"""

import os
from collections.abc import Mapping
from random import getrandbits
from time import time_ns
from typing import Protocol

from switchyard.telemetry.sampling import Sampler
from switchyard.telemetry.trace_context import is_sampled, trace_id_of, valid_traceparent

ENDPOINT, TRACES_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_DISABLED = "OTEL_SDK_DISABLED"

INTERNAL, SERVER, CLIENT = 1, 2, 3  # OpenTelemetry's SpanKind, as OTLP numbers it

Value = str | int | float | bool


class Span(Protocol):
    """A unit of work.

    ``traceparent`` is the header for the next hop in W3C form, or None, and ``trace_id`` its trace's id, or empty.
    Attributes are kept if it is ``sampled``, or ends with an error: hot paths skip making them otherwise.
    """

    traceparent: str | None

    @property
    def sampled(self) -> bool: ...
    @property
    def trace_id(self) -> str: ...

    def set(self, key: str, value: Value) -> None: ...
    def update(self, attributes: Mapping[str, Value]) -> None: ...

    def drop(self) -> None:
        """Take it out of the sample."""

    def end(self, error: str | None = None) -> None:
        """End it, the first time; ``error`` is why the work failed, and no text of a client's."""


class Tracer(Protocol):
    """Starts spans; hot paths skip what is for spans alone when it is not ``enabled``."""

    enabled: bool

    def start(
        self,
        name: str,
        traceparent: str | None,
        attributes: Mapping[str, Value] | None = None,
        *,
        kind: int = INTERNAL,
        began: int | None = None,
    ) -> Span:
        """Start a span below the one that ``traceparent`` names; one that is none begins a trace.

        ``began`` is when the work began, in nanoseconds since 1970, if that was not now.
        """


class _PassthroughSpan:
    """The span of a disabled tracer: passes the client's trace context on."""

    __slots__ = ("traceparent",)
    sampled = False

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    @property
    def trace_id(self) -> str:
        return trace_id_of(self.traceparent) if self.traceparent is not None else ""

    def set(self, key: str, value: Value) -> None:
        return

    def update(self, attributes: Mapping[str, Value]) -> None:
        return

    def drop(self) -> None:
        return

    def end(self, error: str | None = None) -> None:
        return


class DisabledTracer:
    """Passes an incoming trace context on and records nothing."""

    enabled = False

    def start(
        self,
        name: str,
        traceparent: str | None,
        attributes: Mapping[str, Value] | None = None,
        *,
        kind: int = INTERNAL,
        began: int | None = None,
    ) -> Span:
        return _PassthroughSpan(valid_traceparent(traceparent))


class RecordedSpan:
    """A span with ids of its own; ``Recorder`` takes it at its end."""

    __slots__ = ("_ended", "_recorder", "attributes", "began", "kind", "name", "parent", "sampled", "traceparent")

    def __init__(
        self, recorder: "Recorder", name: str, kind: int, began: int, parent: str, traceparent: str, sampled: bool
    ) -> None:
        self._recorder = recorder
        self._ended = False
        self.name = name
        self.kind = kind
        self.began = began
        self.parent = parent  # 16 hexadecimal digits, empty for the first of its trace
        self.traceparent: str | None = traceparent
        self.sampled = sampled
        self.attributes: dict[str, Value] | None = None

    @property
    def trace_id(self) -> str:
        assert self.traceparent is not None
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        assert self.traceparent is not None
        return self.traceparent[36:52]

    def set(self, key: str, value: Value) -> None:
        if self.attributes is None:
            self.attributes = {key: value}
        else:
            self.attributes[key] = value

    def update(self, attributes: Mapping[str, Value]) -> None:
        self.attributes = {**self.attributes, **attributes} if self.attributes else dict(attributes)

    def drop(self) -> None:
        self.sampled = False

    def end(self, error: str | None = None) -> None:
        if (self.sampled or error is not None) and not self._ended:
            self._ended = True
            self._recorder.record(self, time_ns(), error)


class Recorder(Protocol):
    """Takes spans that have ended; it may not block."""

    def record(self, span: RecordedSpan, ended: int, error: str | None) -> None: ...


class RecordingTracer:
    """Starts spans that ``recorder`` gets at their end, if ``sampler`` chose their trace or they end with an error."""

    enabled = True

    def __init__(self, recorder: Recorder, sampler: Sampler) -> None:
        self._recorder = recorder
        self._follows = sampler.follows_callers
        self._begins = sampler.begins

    def start(
        self,
        name: str,
        traceparent: str | None,
        attributes: Mapping[str, Value] | None = None,
        *,
        kind: int = INTERNAL,
        began: int | None = None,
    ) -> Span:
        given = None if traceparent is None else valid_traceparent(traceparent)
        if given is None:
            # Bytes become hexadecimal, in groups of 16 from the left, in a fifth of the time that a format takes.
            sampled, parent, ids = self._begins(), "", getrandbits(192).to_bytes(24).hex("-", -16)
        else:
            sampled = is_sampled(given) if self._follows else self._begins()
            parent, ids = given[36:52], f"{given[3:35]}-{getrandbits(64).to_bytes(8).hex()}"
        own = f"00-{ids}-01" if sampled else f"00-{ids}-00"
        span = RecordedSpan(self._recorder, name, kind, began or time_ns(), parent, own, sampled)
        if attributes:
            span.attributes = dict(attributes)
        return span


def is_enabled(environ: Mapping[str, str]) -> bool:
    """Return whether the standard variables name a collector for spans, and do not switch the SDK off."""
    named = environ.get(ENDPOINT) or environ.get(TRACES_ENDPOINT)
    return bool(named) and environ.get(_DISABLED, "").strip().lower() != "true"


def traces_url(environ: Mapping[str, str]) -> str:
    """Return where spans are sent, for a program that does not read the variables itself."""
    return environ.get(TRACES_ENDPOINT) or environ[ENDPOINT].rstrip("/") + "/v1/traces"


def configure(service: str, *, follows_callers: bool = True) -> Tracer:
    """Return the tracer of this process: recording when an OTLP endpoint is configured, passing through otherwise.

    ``OTEL_SERVICE_NAME`` takes the place of ``service``.

    Raises:
        SettingsError: a variable of OpenTelemetry's has no value that can be used.
    """
    if not is_enabled(os.environ):
        return DisabledTracer()
    from switchyard.telemetry.span_export import SpanExport

    return RecordingTracer(SpanExport(service), Sampler.from_env(os.environ, follows_callers=follows_callers))
