"""A connection on which a client opens streams."""

import asyncio
from typing import Generic, Protocol, TypeVar

from switchyard.http.h2 import budget, frames
from switchyard.http.h2.connection import Connection, own_settings
from switchyard.http.h2.fields import LIST_BYTES, BlockCache, BlockDecoder
from switchyard.http.h2.frames import ProtocolError
from switchyard.http.h2.stream import Stream, StreamHandler

STREAMS = 1000  # at a time on one connection
_RESET_STREAMS = 1000  # ids remembered: what their client sent before it knew of the reset is ignored

T = TypeVar("T")


class RequestHandler(StreamHandler, Protocol):
    """Responds to a request; ``end`` says that the request has no body."""

    def begin(self, stream: Stream, *, end: bool) -> None: ...


class ServerConnection(Connection, Generic[T]):
    """Starts a handler for each stream that the client opens; ``closed`` is set once the connection is.

    ``T`` is what ``cache`` parses a request's header block into.
    """

    def __init__(
        self, cache: BlockCache[T], *, streams: int = STREAMS, allowance: budget.FrameBudget | None = None
    ) -> None:
        super().__init__()
        self.closed = asyncio.Event()
        self._max_streams = streams
        self._budget = budget.FrameBudget() if allowance is None else allowance
        self._decoder = BlockDecoder(cache)
        self._preface_received = self._draining = False
        self._last = 0
        self._reset_here: dict[int, None] = {}

    def handler_for(self, headers: T) -> RequestHandler:
        raise NotImplementedError

    def full(self) -> bool:
        """Return whether new streams get REFUSED_STREAM, which any client may retry (RFC 9113 §8.7)."""
        return len(self.streams) >= self._max_streams

    def retire(self) -> None:
        """Tell the client to open no more streams; those that are on their way are still accepted (RFC 9113 §6.8)."""
        self.go_away(frames.MAX_WINDOW)

    def drain(self) -> None:
        """Accept no more streams, and close the connection when the open ones are."""
        self._draining = True
        self.go_away(self._last)
        self.on_stream_closed()

    # -- Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.write(own_settings(MAX_CONCURRENT_STREAMS=self._max_streams, MAX_HEADER_LIST=LIST_BYTES))

    def data_received(self, data: bytes) -> None:
        if not self._preface_received:
            data, self._buffer = self._buffer + data, b""
            size = min(len(data), len(frames.PREFACE))
            if data[:size] != frames.PREFACE[:size]:
                self.abort()  # the client does not speak HTTP/2 and would not understand a GOAWAY
                return
            if size < len(frames.PREFACE):
                self._buffer = data
                return
            self._preface_received = True
            data = data[size:]
        super().data_received(data)

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        headers = self._decoder.decode(block)
        if (stream := self.streams.get(number)) is not None:  # trailers: no handler uses them
            if stream.remote_closed:
                raise ProtocolError(frames.STREAM_CLOSED, "HEADERS after END_STREAM")
            if not end:
                raise ProtocolError(frames.PROTOCOL_ERROR, "trailers must end the stream")
            self.dispatch(stream, b"", True)
            return
        if not number % 2:
            raise ProtocolError(frames.PROTOCOL_ERROR, "a client's stream identifiers must be odd")
        if number <= self._last:
            self.frame_after_close(number)
            return
        self._last = number
        if self._draining or self.full():
            self.write(frames.uint32_frame(frames.RST_STREAM, number, frames.REFUSED_STREAM))
            self._remember_reset(number)
            self.spend(1)
            return
        handler = self.handler_for(headers)
        stream = self.streams[number] = Stream(self, number, handler)
        stream.remote_closed = end
        handler.begin(stream, end=end)

    @property
    def last_stream_id(self) -> int:
        return self._last

    def is_idle_stream(self, number: int) -> bool:
        return number > self._last or not number % 2

    def frame_after_close(self, number: int) -> None:
        """Ignore the frame where this side reset the stream, as the client may not have known of it."""
        if number not in self._reset_here:
            raise ProtocolError(frames.STREAM_CLOSED, "frame on a closed stream")

    def reset_stream(self, stream: Stream, code: int) -> None:
        if not stream.remote_closed:
            self._remember_reset(stream.id)
        super().reset_stream(stream, code)

    def _remember_reset(self, number: int) -> None:
        self._reset_here[number] = None
        if len(self._reset_here) > _RESET_STREAMS:
            del self._reset_here[next(iter(self._reset_here))]

    def reset_by_peer(self, stream: Stream) -> None:
        if not stream.local_closed:
            self.spend(budget.RESET_COST)

    def end_stream_sent(self, stream: Stream) -> None:
        self._budget.earn(budget.REQUEST_EARNS)
        super().end_stream_sent(stream)
        if not stream.remote_closed:
            self.responded_early(stream)

    def responded_early(self, stream: Stream) -> None:
        """Ask for no more of a request on whose rest the response does not depend (RFC 9113 §8.1)."""
        self.reset_stream(stream, frames.NO_ERROR)

    def chunk_sent(self) -> None:
        self._budget.earn(budget.CHUNK_EARNS)

    def spend(self, cost: int) -> None:
        self._budget.spend(cost)

    def settings_acknowledged(self) -> None:
        self._decoder.acknowledged()

    def on_stream_closed(self) -> None:
        if self._draining and not self.streams:
            self.close()

    def on_closed(self) -> None:
        self.closed.set()
