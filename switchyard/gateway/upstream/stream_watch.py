"""Sees when a stream began, how many events it had, and whether its model ended it with an error."""

from collections.abc import Callable

from switchyard.http.client.response import Sink
from switchyard.http.sse import EVENT

_SHORT = 64  # bytes: what may follow an error in a chunk of its own, such as [DONE]
_TAIL = 4096  # bytes in which an error event begins; engines' sentences are shorter
# What OpenAI's chat and completions, Anthropic's messages and OpenAI's responses send in mid-stream. A model's own text
# has no line breaks in an event.
_ERRORS = (b'data: {"error"', b"event: error", b"event: response.failed")


class StreamWatch:
    """A sink before ``sink``; ``on_first`` is called when the first bytes of the body come."""

    __slots__ = ("_on_first", "_sink", "_tail", "events")

    def __init__(self, sink: Sink, on_first: Callable[[], None]) -> None:
        self._sink = sink
        self._on_first: Callable[[], None] | None = on_first
        self._tail = b""
        self.events = 0

    @property
    def congested(self) -> bool:
        return self._sink.congested

    def write(self, data: bytes) -> None:
        if self._on_first is not None:
            self._on_first()
            self._on_first = None
        self.events += data.count(EVENT)
        self._tail = data if len(data) > _SHORT else self._tail[-_TAIL:] + data
        self._sink.write(data)

    async def drain(self) -> None:
        await self._sink.drain()

    @property
    def broken(self) -> bool:
        """Whether the end of the stream is an error."""
        return ends_in_error(self._tail)


def ends_in_error(body: bytes) -> bool:
    """Return whether the last of a stream's events tell an error."""
    tail = b"\n" + body[-_TAIL:]
    return any(b"\n" + error in tail for error in _ERRORS)
