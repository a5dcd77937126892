"""The side of a connection that clients open streams on."""

import asyncio
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from switchyard.http.h2 import budget, frames
from switchyard.http.h2.connection import Connection, own_settings
from switchyard.http.h2.fields import LIST_BYTES, Memory, Reader
from switchyard.http.h2.frames import BadFrame
from switchyard.http.h2.stream import Half, Stream

STREAMS = 1000  # at a time on one connection
_REMEMBERED = 1000  # streams that were cut here: what their client sent before it knew is passed over

T = TypeVar("T")


class Handler(Half, Protocol):
    """What answers a stream; ``end`` says that nothing follows the head that opened it."""

    def begin(self, stream: Stream, *, end: bool) -> None: ...


class ServerConnection(Connection, Generic[T]):
    """Hands each new stream to what ``take`` makes of its head; ``closed`` is set when the connection has ended."""

    def __init__(
        self, memory: Memory[T], *, streams: int = STREAMS, allowance: budget.FrameBudget | None = None
    ) -> None:
        super().__init__()
        self.closed = asyncio.Event()
        self.on_closed: list[Callable[[], None]] = []
        self._most = streams
        self._budget = budget.FrameBudget() if allowance is None else allowance
        self._reader = Reader(memory)
        self._greeted = self._draining = False
        self._last = 0
        self._cut: dict[int, None] = {}

    def take(self, head: T) -> Handler:
        raise NotImplementedError

    def full(self) -> bool:
        """Whether a further stream is refused; clients may then try again, whatever they asked."""
        return len(self.streams) >= self._most

    def retire(self) -> None:
        """Tell the client to open no more streams; those that are under way are still taken (RFC 9113 §6.8)."""
        self.go_away(frames.MAX_WINDOW)

    def drain(self) -> None:
        """Take no more streams, and close when those that are open have ended."""
        self._draining = True
        self.go_away(self._last)
        self.forgotten()

    # -- Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.write(own_settings(MAX_CONCURRENT_STREAMS=self._most, MAX_HEADER_LIST=LIST_BYTES))

    def data_received(self, data: bytes) -> None:
        if not self._greeted:
            data, self._rest = self._rest + data, b""
            known = min(len(data), len(frames.PREFACE))
            if data[:known] != frames.PREFACE[:known]:
                self.abort()  # no HTTP/2: nothing that could be said would be understood
                return
            if known < len(frames.PREFACE):
                self._rest = data
                return
            self._greeted = True
            data = data[known:]
        super().data_received(data)

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        head = self._reader.read(block)
        if (stream := self.streams.get(number)) is not None:  # trailers, which nothing here waits for
            if stream.heard_all:
                raise BadFrame(frames.STREAM_CLOSED, "header fields after the end of a request")
            if not end:
                raise BadFrame(frames.PROTOCOL_ERROR, "header fields in the middle of a request")
            self.hear(stream, b"", True)
            return
        if not number % 2:
            raise BadFrame(frames.PROTOCOL_ERROR, "a client's stream has an odd number")
        if number <= self._last:
            self.late(number)
            return
        self._last = number
        if self._draining or self.full():
            self.write(frames.head(4, frames.RST_STREAM, 0, number) + frames.number(frames.REFUSED_STREAM))
            self._remember(number)
            self.spend(1)
            return
        handler = self.take(head)
        stream = self.streams[number] = Stream(self, number, handler)
        stream.heard_all = end
        handler.begin(stream, end=end)

    @property
    def last(self) -> int:
        return self._last

    def idle(self, number: int) -> bool:
        return number > self._last or not number % 2

    def late(self, number: int) -> None:
        """A frame on a stream that has ended: on its way when that was cut here, else against the rules."""
        if number not in self._cut:
            raise BadFrame(frames.STREAM_CLOSED, "a frame on a stream that has ended")

    def cut(self, stream: Stream, code: int) -> None:
        if not stream.heard_all:
            self._remember(stream.id)
        super().cut(stream, code)

    def _remember(self, number: int) -> None:
        self._cut[number] = None
        if len(self._cut) > _REMEMBERED:
            del self._cut[next(iter(self._cut))]

    def reset_by_peer(self, stream: Stream) -> None:
        if not stream.finished:
            self.spend(budget.RESET_COST)

    def sent_all(self, stream: Stream) -> None:
        self._budget.earn(budget.REQUEST_EARNS)
        super().sent_all(stream)
        if not stream.heard_all:  # the rest of the request is not needed (RFC 9113 §8.1)
            self.cut(stream, frames.NO_ERROR)

    def delivered(self) -> None:
        self._budget.earn(budget.CHUNK_EARNS)

    def spend(self, cost: int) -> None:
        self._budget.spend(cost)

    def settings_acknowledged(self) -> None:
        self._reader.acknowledged()

    def forgotten(self) -> None:
        if self._draining and not self.streams:
            self.close()

    def goodbye(self) -> None:
        self.closed.set()
        for callback in self.on_closed:
            callback()
