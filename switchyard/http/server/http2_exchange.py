"""A request on an HTTP/2 stream, and its response."""

import asyncio
import re
from collections.abc import Sequence
from typing import Protocol

from switchyard.http.addresses import Address
from switchyard.http.body_memory import BodyMemory
from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.request_headers import CONNECTION_FIELDS, RequestHeaders
from switchyard.http.h2.stream import Stream
from switchyard.http.headers import Header
from switchyard.http.server.exchange import BODILESS, Exchange

# Bytes of a response that the client has not taken; ``drain`` waits while there are more. What the windows and the
# socket take at once is none of them.
UNSENT_BYTES = 16 * 1024
_UNSENT_BYTES_OF_ALL = 256 * 1024  # responses on a connection; beyond, each waits until all of its own has been sent

_SPLITS = re.compile(rb"[\0\r\n]")
_CONTINUE = literals([(b":status", b"100")])


class Connection(Protocol):
    """What an exchange needs of its connection, besides the stream."""

    loop: asyncio.AbstractEventLoop
    memory: BodyMemory
    client: Address | None
    server: Address | None
    scheme: str
    unsent: int  # bytes of all its responses that the client has not taken

    def date(self) -> bytes:
        """The value of the ``date`` header."""

    def begin(self, exchange: Exchange) -> None:
        """Start the handler, once the client has taken enough of the responses before."""

    def sent(self, size: int) -> None:
        """Count ``size`` bytes as taken."""

    def broke_rules(self, stream: Stream) -> None:
        """Reset the stream for what its client did."""


class _Closed:
    """Handles a stream that is closed."""

    def begin(self, stream: Stream, *, end: bool) -> None: ...
    def data(self, stream: Stream, chunk: bytes, end: bool) -> None: ...
    def reset(self, stream: Stream, code: int) -> None: ...


CLOSED = _Closed()


class Http2Exchange(Exchange):
    """Responds on one stream; is the stream's ``RequestHandler`` and ``Source`` (``switchyard.http.h2``)."""

    __slots__ = (
        "_connection",
        "_length",
        "_received",
        "_room",
        "_stream",
        "_unacknowledged",
        "_unsent",
        "since",
    )

    def __init__(self, connection: Connection, headers: RequestHeaders, buffer_bytes: int) -> None:
        super().__init__(connection.loop, buffer_bytes, connection.memory)
        self.method = headers.method
        self.target = headers.target
        self.version = "2"
        self.headers = list(headers.fields)
        self.fields = dict(self.headers)
        self.expects = headers.expects
        self.since = self._loop.time()
        self._connection = connection
        self._length = headers.length
        self._received = self._unacknowledged = self._unsent = 0
        self._room: asyncio.Future[None] | None = None

    @property
    def client(self) -> Address | None:
        return self._connection.client

    @property
    def server(self) -> Address | None:
        return self._connection.server

    @property
    def scheme(self) -> str:
        return self._connection.scheme

    # -- RequestHandler and Source

    def begin(self, stream: Stream, *, end: bool) -> None:
        self._stream = stream
        stream.source = self
        if end:
            self.data(stream, b"", True)
        if not stream.local_closed:
            self._connection.begin(self)

    def data(self, stream: Stream, chunk: bytes, end: bool) -> None:
        self._received += len(chunk)
        length = self._length
        if length is not None and (self._received > length or (end and self._received < length)):  # RFC 9113 §8.1.1
            stream.connection.acknowledge(stream, len(chunk))
            self._acknowledge()
            self._connection.broke_rules(stream)
            self.disconnect()
            return
        if self.finished:
            stream.connection.acknowledge(stream, len(chunk))
        elif chunk:
            self._unacknowledged += len(chunk)
            self.feed(chunk)
            if self._gathering:  # and not waked, to ask for more
                self._acknowledge()
        if end:
            self.arrived()

    def reset(self, stream: Stream, code: int) -> None:
        self._acknowledge()
        self._let_go()
        self.disconnect()

    def sent(self, size: int) -> None:
        self._unsent -= size
        self._connection.sent(size)
        if not self.congested:
            self._let_go()

    # -- the request

    async def body(self, limit: int) -> bytes:
        body = await super().body(limit)
        self._acknowledge()
        return body

    def _wanted(self) -> None:
        if self.expects:
            self.expects = False
            if not self.started:
                self._send(frames.HEADERS, _CONTINUE, end=False)
        self._acknowledge()

    def _acknowledge(self) -> None:
        """Let the client send as much again: the handler has taken what arrived, or never will."""
        size, self._unacknowledged = self._unacknowledged, 0
        if size:
            self._stream.connection.acknowledge(self._stream, size)

    # -- the response

    def respond(self, status: int, headers: Sequence[Header], body: bytes = b"") -> None:
        bodiless = status in BODILESS
        framing = () if bodiless else ((b"content-length", b"%d" % len(body)),)
        empty = bodiless or self.method == b"HEAD" or not body
        self._begin(status, (*headers, *framing), end=empty)
        if not empty:
            self._send(frames.DATA, body, end=True)
        self._finish()

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """Start a response; its headers are sent at once, as the first chunk may come much later."""
        declared = next((value for name, value in headers if name == b"content-length"), None)
        if status in BODILESS or self.method == b"HEAD":
            self._remaining = 0
        elif declared is not None:
            self._remaining = int(declared)
        self._begin(status, headers, end=False)

    def _begin(self, status: int, headers: Sequence[Header], *, end: bool) -> None:
        if self.started:
            raise RuntimeError("a handler responded twice")
        fields: list[Field] = [(b":status", b"%d" % status), (b"date", self._connection.date())]
        fields += [header for header in headers if header[0] not in CONNECTION_FIELDS]
        if _SPLITS.search(b"".join([name + value for name, value in fields])):
            raise ValueError("a header name or value holds a line break or a zero byte")
        self.started, self.status = True, status
        self._send(frames.HEADERS, literals(fields), end=end)

    def write(self, data: bytes) -> None:
        if self._remaining >= 0:
            data = self._within_length(data)
        if data:
            self._send(frames.DATA, data, end=False)

    @property
    def congested(self) -> bool:
        unsent = self._unsent
        return unsent > UNSENT_BYTES or (unsent > 0 and self._connection.unsent > _UNSENT_BYTES_OF_ALL)

    async def drain(self) -> None:
        if self.congested:
            self._room = self._loop.create_future()
            await self._room

    def end(self, data: bytes = b"") -> None:
        if self._remaining >= 0:
            data = self._within_length(data)
        if self._remaining > 0:
            self.abort()
            return
        self._send(frames.DATA, data, end=True)
        self._finish()

    def abort(self) -> None:
        """Reset the stream."""
        self._finish()
        self._stream.connection.reset_stream(self._stream, frames.INTERNAL_ERROR)

    def _send(self, kind: int, payload: bytes, *, end: bool) -> None:
        if kind == frames.DATA:
            self._unsent += len(payload)
            self._connection.unsent += len(payload)
        self._stream.connection.send(self._stream, kind, payload, end)

    def _finish(self) -> None:
        self.finished = True
        self.release()
        self._acknowledge()
        self.detach()

    def detach(self) -> None:
        """Let go of a stream that is closed: each would keep the other, and the body, until a garbage collection."""
        stream = self._stream
        if self.finished and stream.local_closed and stream.remote_closed:
            stream.handler, stream.source = CLOSED, None

    def _let_go(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
