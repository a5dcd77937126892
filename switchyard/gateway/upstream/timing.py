"""When a model's response began and, of a stream, what each of its tokens took."""

from collections.abc import Callable

from switchyard.gateway.call import Call
from switchyard.gateway.meter import Meter
from switchyard.telemetry import attributes
from switchyard.telemetry.histogram import exemplar_of


class Timing:
    """Measures one response; ``time`` is the event loop's.

    ``streams`` says that its first byte is that of a first token. ``since``, for a request that came later than its
    call, is when it did.
    """

    __slots__ = ("_began", "_call", "_meter", "_since", "_streams", "_time")

    def __init__(
        self, call: Call, meter: Meter, time: Callable[[], float], *, streams: bool, since: float | None = None
    ) -> None:
        self._call = call
        self._streams = streams
        self._since = call.started if since is None else since
        self._meter = meter
        self._time = time
        self._began = 0.0

    def began(self) -> None:
        """Record the first byte; engines send the headers of a stream long before the first token."""
        call, self._began = self._call, self._time()
        assert call.model is not None
        name, seconds, span = call.model.name, self._began - self._since, call.span
        exemplar = exemplar_of(span)
        self._meter.first_byte(name, call.route.label, seconds, exemplar)
        if self._streams:
            tenant = None if call.identity is None else call.identity.tenant
            self._meter.first_token(name, tenant, seconds, exemplar)
            if span is not None and span.sampled:
                span.set(attributes.FIRST_CHUNK, round(seconds, 6))

    def ended(self, events: int) -> None:
        """Record the time of a stream's tokens, which ``events`` stand for where nobody counts tokens."""
        usage, model = self._call.usage, self._call.model
        tokens = events if usage is None else usage.completion_tokens
        if tokens > 1 and model is not None:
            self._meter.per_output_token(model.name, (self._time() - self._began) / (tokens - 1))
