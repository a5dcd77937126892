"""The side of a connection that clients open streams on."""

import asyncio
from typing import Generic, Protocol, TypeVar

from switchyard.http.h2 import frames
from switchyard.http.h2.connection import Connection, own_settings
from switchyard.http.h2.fields import LIST_BYTES, Memory, Reader
from switchyard.http.h2.frames import BadFrame
from switchyard.http.h2.stream import Half, Stream

STREAMS = 1000  # at a time on one connection
_PREFACE_SECONDS = 10

T = TypeVar("T")


class Handler(Half, Protocol):
    """What answers a stream; ``end`` says that nothing follows the head that opened it."""

    def begin(self, stream: Stream, *, end: bool) -> None: ...


class ServerConnection(Connection, Generic[T]):
    """Hands each new stream to what ``take`` makes of its head; ``closed`` is set when the connection has ended."""

    def __init__(self, memory: Memory[T]) -> None:
        super().__init__()
        self.closed = asyncio.Event()
        self._reader = Reader(memory)
        self._greeted = self._draining = False
        self._last = 0

    def take(self, head: T) -> Handler:
        raise NotImplementedError

    def full(self) -> bool:
        """Whether a further stream is refused; clients may then try again, whatever they asked."""
        return len(self.streams) >= STREAMS

    def drain(self) -> None:
        """Takes no more streams, and closes when those that are open have ended."""
        self._draining = True
        self.go_away(self._last)
        self.forgotten()

    # -- Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.write(own_settings(MAX_CONCURRENT_STREAMS=STREAMS, MAX_HEADER_LIST=LIST_BYTES))
        self._patience = asyncio.get_running_loop().call_later(_PREFACE_SECONDS, self.close)

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
            self._patience.cancel()
            data = data[known:]
        super().data_received(data)

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        head = self._reader.read(block)
        if (stream := self.streams.get(number)) is not None:  # trailers, which nothing here waits for
            if not end or stream.heard_all:
                raise BadFrame(frames.PROTOCOL_ERROR, "header fields in the middle of a request or after it")
            self.hear(stream, b"", True)
            return
        if number % 2 and number <= self._last:  # of a stream that was cut meanwhile
            return
        if not number % 2:
            raise BadFrame(frames.PROTOCOL_ERROR, "a client's stream has an odd number")
        self._last = number
        if self._draining or self.full():
            self.write(frames.head(4, frames.RST_STREAM, 0, number) + frames.number(frames.REFUSED_STREAM))
            return
        handler = self.take(head)
        stream = self.streams[number] = Stream(self, number, handler)
        stream.heard_all = end
        handler.begin(stream, end=end)

    def idle(self, number: int) -> bool:
        return number > self._last or not number % 2

    def settings_acknowledged(self) -> None:
        self._reader.acknowledged()

    def forgotten(self) -> None:
        if self._draining and not self.streams:
            self.close()

    def goodbye(self) -> None:
        self._patience.cancel()
        self.closed.set()
