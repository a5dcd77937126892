"""Sends a recording to one client."""

import asyncio
from collections.abc import Callable, Sequence

from switchyard.gateway.call import Edge
from switchyard.gateway.recordings.events import numbered
from switchyard.gateway.recordings.format import Decoder, End, Entry, Head
from switchyard.http.api_errors import Shape, event


class Player:
    """What one client has had of a recording, and how it gets the rest.

    Of an event stream it gets the events after number ``after``, with their numbers where ``ids`` are wanted; of
    another response the bytes after so many. ``shape`` is that of the client's own path. ``check`` is asked before
    anything is sent. ``done`` once all is sent, by ``feed`` or by a recorder that it is attached to, and ``broken`` if
    an error was the end.
    """

    __slots__ = (
        *("_after", "_body", "_check", "_decoder", "_head", "_ids", "_shape", "broken", "done"),
        *("edge", "ended", "place", "released", "seen"),
    )

    def __init__(
        self,
        edge: Edge,
        shape: Shape,
        *,
        after: int = 0,
        ids: bool = False,
        check: Callable[[Head], None] = lambda head: None,
    ) -> None:
        self.edge = edge
        self._shape = shape
        self._after = after
        self._ids = ids
        self._check = check
        self._decoder = Decoder()
        self._head: Head | None = None
        self._body: list[bytes] = []
        self.seen = 0  # events, or bytes
        self.place = 0  # up to which it was fed, in bytes of the recording
        self.done = self.broken = False
        self.ended: End | None = None
        self.released: asyncio.Future[None] | None = None  # while a recorder feeds it

    @property
    def congested(self) -> bool:
        """Whether the client has not taken what was sent."""
        return self.edge.started and self.edge.sink.congested

    async def drain(self) -> None:
        """Wait until the client has taken enough."""
        await self.edge.sink.drain()

    def feed(self, data: bytes) -> None:
        """Send what ``data`` holds, which are the next bytes of the recording.

        Raises:
            FormatError: they are none.
            ApiError: the response ended with an error before anything was sent, or ``check`` does not let it pass.
        """
        self.place += len(data)
        for entry in self._decoder.feed(data):
            self._play(entry)

    def start(self, head: Head) -> None:
        """Begin the response, unless it is sent whole at its end."""
        self._check(head)
        self._head = head
        if not head.whole and not self.edge.started:
            self.edge.start(head.status, list(head.headers))

    def event(self, event: bytes) -> None:
        """Send an event, unless the client has had it."""
        self.seen += 1
        if self.seen > self._after:
            self.edge.write(b"id: %d\n%b" % (self.seen, event) if self._ids else event)

    def chunks(self, data: Sequence[bytes]) -> None:
        """Send events or bytes, but for those that the client has had."""
        head = self._head
        assert head is not None
        rest = b"".join(self._events(data) if head.events else self._bytes(data))
        if head.whole:
            self._body.append(rest)
        elif rest:
            self.edge.write(rest)

    def _events(self, events: Sequence[bytes]) -> Sequence[bytes]:
        first, self.seen = self.seen + 1, self.seen + len(events)
        if self._after >= first:
            had = self._after + 1 - first
            first, events = first + had, events[had:]
        return [numbered(first + place, one) for place, one in enumerate(events)] if self._ids else events

    def _bytes(self, data: Sequence[bytes]) -> Sequence[bytes]:
        joined = b"".join(data)
        before, self.seen = self.seen, self.seen + len(joined)
        return (joined[max(self._after - before, 0) :],)

    def end(self, end: End) -> None:
        """End the response; ``end`` says whether an error is the end.

        Raises:
            ApiError: that error, unless it was sent in the shape of the path that was recorded.
        """
        self.done, self.ended, head = True, end, self._head
        if end.failure is not None:
            self.broken = True
            if not (self.edge.started and head is not None and head.events) or head.shape in ("text", self._shape):
                raise end.failure.error()
            self.edge.write(event(end.failure.error(), head.shape))
        elif head is not None and head.whole:
            self.edge.respond(head.status, list(head.headers), b"".join(self._body))
            return
        self.edge.end()

    def _play(self, entry: Entry) -> None:
        if isinstance(entry, Head):
            self.start(entry)
        elif isinstance(entry, End):
            self.end(entry)
        elif self._head is not None:
            self.chunks((entry.data,))
