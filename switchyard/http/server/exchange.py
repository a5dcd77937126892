"""One request and its answer, as a handler sees them."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from http import HTTPStatus
from typing import Protocol

from switchyard.http.headers import Header
from switchyard.http.request_errors import BodyTooLarge

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_STATUS_LINES = {code: f"HTTP/1.1 {code} {phrase}\r\n".encode() for code, phrase in _REASONS.items()}
_BODILESS = frozenset((204, 304))  # RFC 9110 §6.4.1: never followed by content
_COPIED = 32 * 1024  # a piece up to here is cheaper to copy between its frame than to write by itself


class BadRequest(Exception):
    """A request that cannot be answered by its handler, or not to its end; ``status`` is what its client gets."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def refusal(sentence: str) -> bytes:
    """The body of an answer that the server itself gives."""
    return json.dumps({"error": sentence}).encode()


class Link(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    loop: asyncio.AbstractEventLoop

    @property
    def closing(self) -> bytes:
        """The head's line on what becomes of the connection after this answer, empty for HTTP/1.1's default."""

    def date(self) -> bytes:
        """The head's ``date`` line."""

    def wanted(self) -> None:
        """The handler waits for more of the request's body."""

    async def writable(self) -> None:
        """Returns when the client has taken enough of what was written."""

    def ended(self, *, whole: bool) -> None:
        """The answer is complete, or, when not ``whole``, can never be."""


class Exchange:
    """A request with the means to answer it; its handler's task is cancelled when the client hangs up.

    Answer once with ``answer``, or with ``start``, ``write`` and ``end``. Names of ``headers`` are in lower case.
    """

    __slots__ = ("_chunked", "_complete", "_error", "_left", "_link", "_pause_at", "_pending", "_pieces", "_size",
                 "_waiter", "expects", "finished", "headers", "legacy", "method", "persistent", "started",
                 "target")  # fmt: skip

    def __init__(self, link: Link, buffer_bytes: int) -> None:
        self.method = b""
        self.target = b""
        self.headers: list[Header] = []
        self.started = False
        self.finished = False
        self.legacy = False  # the client speaks HTTP/1.0
        self.persistent = True
        self.expects = False  # the client waits for 100 Continue before it sends the body
        self._link = link
        self._pieces: list[bytes] = []
        self._size = 0
        self._pause_at = buffer_bytes
        self._complete = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._pending = b""
        self._chunked = False
        self._left = -1

    # -- the request

    @property
    def path(self) -> bytes:
        """The target up to its query, as it was sent (not percent-decoded)."""
        return self.target.partition(b"?")[0]

    def header(self, name: bytes) -> bytes | None:
        """The first header called ``name`` (lower case)."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def body(self, limit: int) -> bytes:
        """The request's whole body, at most ``limit`` bytes.

        Raises:
            BadRequest: it broke off against the rules of HTTP.
            BodyTooLarge: it is declared or turns out to be larger.
            BodyTooSlow: it did not arrive in time.
        """
        if not self._complete:
            await self._gather(limit)
        if self._size > limit:
            raise BodyTooLarge(limit)
        if len(self._pieces) > 1:
            self._pieces[:] = [b"".join(self._pieces)]
        return self._pieces[0] if self._pieces else b""

    async def _gather(self, limit: int) -> None:
        declared = self.header(b"content-length")
        if declared is not None and int(declared) > limit:
            raise BodyTooLarge(limit)
        self._pause_at = limit
        while not self._complete and self._size <= limit:
            await self._more()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The pieces of the request's body as they come; the client is read no faster than they are taken.

        Raises:
            BodyTooSlow: it did not arrive in time.
        """
        while True:
            if self._pieces:
                piece = self._pieces.pop(0)
                self._size -= len(piece)
                yield piece
            elif self._complete:
                return
            else:
                await self._more()

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._link.loop.create_future()
        self._link.wanted()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._error is not None:
            raise self._error

    # -- the answer

    def answer(self, status: int, headers: Sequence[Header], body: bytes = b"") -> None:
        """Sends a whole answer in one write; ``headers`` hold no framing (``content-length`` is set here)."""
        bodiless = status in _BODILESS
        framing = b"" if bodiless else b"content-length: %d\r\n" % len(body)
        head = self._head(status, headers, framing)
        self.started = True
        if bodiless or self.method == b"HEAD":
            self._link.transport.write(head)
        elif len(body) <= _COPIED:
            self._link.transport.write(head + body)
        else:
            self._link.transport.writelines((head, body))
        self._finish(whole=True)

    def start(self, status: int, headers: Sequence[Header]) -> None:
        """Begins an answer; its head goes out with the first ``write`` (an empty one sends just the head).

        A ``content-length`` among ``headers`` frames the body; without one it is sent in chunks, or up to the end of
        the connection to a client of HTTP/1.0.
        """
        declared = next((value for name, value in headers if name == b"content-length"), None)
        framing = b""
        if status in _BODILESS or self.method == b"HEAD":
            self._left = 0
        elif declared is not None:
            self._left = int(declared)
        elif self.legacy:
            self.persistent = False
        else:
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        self._pending = self._head(status, headers, framing)
        self.started = True

    def write(self, data: bytes) -> None:
        """Sends a piece of the body at once; ``await drain()`` keeps a slow client from filling the memory."""
        head, self._pending = self._pending, b""
        if self._left >= 0:
            data = self._within_length(data)
        transport = self._link.transport
        size = len(data)
        if size > _COPIED:
            transport.writelines((b"%b%x\r\n" % (head, size), data, b"\r\n") if self._chunked else (head, data))
        elif not size:
            if head:
                transport.write(head)
        elif self._chunked:
            transport.write(b"%b%x\r\n%b\r\n" % (head, size, data))
        else:
            transport.write(head + data)

    def _within_length(self, data: bytes) -> bytes:
        if self.method == b"HEAD":
            return b""
        if len(data) > self._left:
            raise RuntimeError(f"a handler wrote {len(data) - self._left} bytes more than the declared content-length")
        self._left -= len(data)
        return data

    async def drain(self) -> None:
        """Returns when the client has taken enough of what was written."""
        await self._link.writable()

    def end(self) -> None:
        """The answer is complete."""
        if self._chunked:
            self._link.transport.write(self._pending + b"0\r\n\r\n")
        elif self._pending:
            self._link.transport.write(self._pending)
        self._pending = b""
        self._finish(whole=self._left <= 0)

    def cut(self) -> None:
        """Ends an answer that cannot be completed, so that the client can tell: the connection is closed."""
        self._finish(whole=False)

    def _finish(self, *, whole: bool) -> None:
        self.finished = True
        self._link.ended(whole=whole)

    def _head(self, status: int, headers: Sequence[Header], framing: bytes) -> bytes:
        if self.started:
            raise RuntimeError("a handler answered twice")
        lines = b"".join([b"%b: %b\r\n" % header for header in headers])
        if lines.count(b"\n") != len(headers) or lines.count(b"\r") != len(headers) or b"\0" in lines:
            raise ValueError("a header name or value holds a line break or a zero byte")
        first = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        link = self._link
        return b"%b%b%b%b%b\r\n" % (first, lines, link.date(), framing, link.closing)

    # -- what follows is for the connection that feeds this exchange

    @property
    def complete(self) -> bool:
        """Whether the request has arrived to its end."""
        return self._complete

    @property
    def full(self) -> bool:
        """Whether the handler lags so far that the socket should not be read."""
        return self._size > self._pause_at

    @property
    def waiting(self) -> bool:
        """Whether the handler waits for more of the body."""
        return self._waiter is not None

    def feed(self, data: bytes) -> None:
        """Adds a piece of the body."""
        self._pieces.append(data)
        self._size += len(data)
        self._wake()

    def arrived(self) -> None:
        """The request is complete."""
        self._complete = True
        self._wake()

    def fail(self, error: Exception) -> None:
        """The rest of the body will not come."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
