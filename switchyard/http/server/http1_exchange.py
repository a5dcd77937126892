"""A response in HTTP/1.1, and in HTTP/1.0 for clients that speak it."""

import asyncio
from collections.abc import Sequence
from http import HTTPStatus
from typing import Protocol

from switchyard.http.addresses import Address
from switchyard.http.body_memory import BodyMemory
from switchyard.http.headers import Header
from switchyard.http.server.exchange import BODILESS, Exchange
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.connection import WebSocket
from switchyard.http.server.websocket.handshake import upgrade_headers

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {code: f"HTTP/1.1 {code} {phrase}\r\n".encode() for code, phrase in _REASONS.items()}
_COPIED = 32 * 1024  # a chunk up to here is cheaper to copy between its frame than to write by itself


class Connection(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop
    memory: BodyMemory
    write_paused: bool

    @property
    def addresses(self) -> tuple[Address | None, Address | None]:
        """Those of the client and of this server."""

    @property
    def closing(self) -> bytes:
        """The ``connection`` header's line for this response, empty for HTTP/1.1's default."""

    def date(self) -> bytes:
        """The value of the ``date`` header."""

    def wanted(self) -> None:
        """The handler waits for more of the request's body."""

    async def writable(self) -> None:
        """Return when the client has taken enough of what was written."""

    def upgrade(self, exchange: Exchange) -> WebSocket:
        """Leave the client to a WebSocket."""

    def ended(self, *, whole: bool) -> None:
        """The response is complete, or, when not ``whole``, can never be."""


class Http1Exchange(Exchange):
    """A request of HTTP/1.0 or 1.1, and its response."""

    __slots__ = ("_chunked", "_connection", "_pending", "_websocket", "legacy", "persistent", "sized")

    def __init__(self, connection: Connection, buffer_bytes: int) -> None:
        Exchange.__init__(self, connection.loop, buffer_bytes, connection.memory)
        self.legacy = False  # the client speaks HTTP/1.0
        self.persistent = True
        self.sized = True  # the request says how long its body is, or has none
        self._connection = connection
        self._pending = b""
        self._chunked = False
        self._websocket: WebSocket | None = None

    @property
    def client(self) -> Address | None:
        return self._connection.addresses[0]

    @property
    def server(self) -> Address | None:
        return self._connection.addresses[1]

    @property
    def scheme(self) -> str:
        return "http" if self._connection.transport.get_extra_info("sslcontext") is None else "https"

    def _wanted(self) -> None:
        self._connection.wanted()

    def respond(self, status: int, headers: Sequence[Header], body: bytes = b"") -> None:
        bodiless = status in BODILESS
        framing = b"" if bodiless else b"content-length: %d\r\n" % len(body)
        lines = self._lines(status, headers, framing)
        self.started, self.status = True, status
        if bodiless or self.method == b"HEAD":
            self._connection.transport.write(lines)
        elif len(body) <= _COPIED:
            self._connection.transport.write(lines + body)
        else:
            self._connection.transport.writelines((lines, body))
        self._finish(whole=True)

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """Start a response; without a ``content-length`` it is chunked, or in HTTP/1.0 ends with the connection.

        The headers go out with the first ``write`` (an empty one sends only them).
        """
        declared = next((value for name, value in headers if name == b"content-length"), None)
        framing = b""
        if status in BODILESS or self.method == b"HEAD":
            self._remaining = 0
        elif declared is not None:
            self._remaining = int(declared)
        elif self.legacy:
            self.persistent = False
        else:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        self._pending = self._lines(status, headers, framing)
        self.started, self.status = True, status

    def write(self, data: bytes) -> None:
        lines, self._pending = self._pending, b""
        if self._remaining >= 0:
            data = self._within_length(data)
        transport = self._connection.transport
        size = len(data)
        if size > _COPIED:
            transport.writelines((b"%b%x\r\n" % (lines, size), data, b"\r\n") if self._chunked else (lines, data))
        elif not size:
            if lines:
                transport.write(lines)
        elif self._chunked:
            transport.write(b"%b%x\r\n%b\r\n" % (lines, size, data))
        else:
            transport.write(lines + data)

    @property
    def congested(self) -> bool:
        return self._connection.write_paused

    async def drain(self) -> None:
        await self._connection.writable()

    def end(self, data: bytes = b"") -> None:
        if data and self._chunked and len(data) <= _COPIED:
            self._connection.transport.write(b"%b%x\r\n%b\r\n0\r\n\r\n" % (self._pending, len(data), data))
            self._pending = b""
            self._finish(whole=True)
            return
        if data:
            self.write(data)
        if self._chunked:
            self._connection.transport.write(self._pending + b"0\r\n\r\n")
        elif self._pending:
            self._connection.transport.write(self._pending)
        self._pending = b""
        self._finish(whole=self._remaining <= 0)

    def accept_websocket(self, headers: Sequence[Header]) -> WebSocket:
        lines = self._lines(101, [*upgrade_headers(self), *headers], b"")
        self.started, self.status = True, 101
        self._connection.transport.write(lines)
        self._websocket = self._connection.upgrade(self)
        return self._websocket

    def abort(self) -> None:
        """Close the connection before the response's end; a WebSocket with 1011."""
        if self._websocket is not None:
            self._websocket.close(codes.INTERNAL_ERROR)
            return
        self._finish(whole=False)

    def _finish(self, *, whole: bool) -> None:
        self.finished = True
        self.release()
        self._connection.ended(whole=whole)

    def _lines(self, status: int, headers: Sequence[Header], framing: bytes) -> bytes:
        if self.started:
            raise RuntimeError("a handler responded twice")
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers) or b"\0" in lines:
            raise ValueError("a header name or value holds a line break or a zero byte")
        first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        connection = self._connection
        closing = b"" if status == 101 else connection.closing
        return b"%b%bdate: %b\r\n%b%b\r\n" % (first, lines, connection.date(), framing, closing)
