"""The span of a request at the activator: how long it was held, and for what."""

from time import time_ns
from types import TracebackType
from typing import Self

from switchyard.http.api_errors import ApiError
from switchyard.http.headers import Header
from switchyard.telemetry import attributes
from switchyard.telemetry.trace_context import TRACEPARENT
from switchyard.telemetry.tracing import SERVER, Span, Tracer

_HELD_SECONDS = 0.001  # less is no wait, but a turn of the event loop
_FAILED = 500


class HeldRequest:
    """A request to a service, until its response has been forwarded; a context manager."""

    __slots__ = ("_seconds", "_span", "_tracer", "model")

    def __init__(self, tracer: Tracer, model: str, traceparent: bytes | None) -> None:
        self.model = model
        self._tracer = tracer
        self._seconds: dict[str, float] = {}
        self._span: Span | None = None
        if tracer.enabled:
            parent = None if traceparent is None else traceparent.decode("latin-1")
            self._span = tracer.start(f"activator {model}", parent, {attributes.MODEL: model}, kind=SERVER)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is None:
            return
        for key, seconds in self._seconds.items():
            self._span.set(key, round(seconds, 6))
        if not isinstance(err, Exception):  # a cancellation is the client's, or the end of this process
            self._span.end()
        elif isinstance(err, ApiError):
            self._span.set(attributes.ERROR_TYPE, err.code)
            self._span.end(err.code if err.status >= _FAILED else None)
        else:
            self._span.end(type(err).__name__)

    @property
    def headers(self) -> tuple[Header, ...]:
        """What the replica gets in place of the caller's own."""
        if self._span is None or self._span.traceparent is None:
            return ()
        return ((TRACEPARENT, self._span.traceparent.encode()),)

    def waited(self, seconds: float, *, asleep: bool) -> None:
        """Say that it just waited, for a model that was ``asleep`` or else had no place free."""
        if self._span is None or seconds < _HELD_SECONDS:
            return
        key = attributes.WAKE_SECONDS if asleep else attributes.QUEUE_SECONDS
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds
        began = time_ns() - int(seconds * 1e9)
        name = f"{'wake' if asleep else 'queue'} {self.model}"
        self._tracer.start(name, self._span.traceparent, {attributes.MODEL: self.model}, began=began).end()
