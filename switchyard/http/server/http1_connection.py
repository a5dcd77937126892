"""One connection of a client in HTTP/1.1: llhttp parses, requests are handled one after the other."""

import asyncio
from collections import deque
from typing import Any, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from switchyard.http.request_errors import BodyTooSlowError
from switchyard.http.server.exchange import BadRequestError, BodyMemory, ErrorResponse, Exchange
from switchyard.http.server.http1_exchange import Http1Exchange
from switchyard.http.server.http1_headers import check_headers
from switchyard.http.server.limits import ServerLimits

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"connection: close\r\n"
_KEEP_ALIVE = b"connection: keep-alive\r\n"
_OF_AN_UPGRADE = (b"upgrade", b"http2-settings", b"connection")
# Bytes of framing that a byte of a body may cost: a chunk of one byte has five, and some clients add extensions.
_FRAMING_RATIO = 8


class Host(Protocol):
    """What a connection needs of its server."""

    limits: ServerLimits
    loop: asyncio.AbstractEventLoop
    memory: BodyMemory
    retiring: bool
    draining: bool
    error_response: ErrorResponse

    def begin(self, exchange: Exchange) -> asyncio.Task[None]:
        """Start the handler."""

    def date(self) -> bytes:
        """The value of the ``date`` header."""

    def opened(self, connection: Any) -> None: ...
    def closed(self, connection: Any) -> None: ...


class Http1Connection(asyncio.Protocol):
    """Parses requests, starts their handlers in order, and tells the one at work when the client disconnects.

    ``_incoming`` is being received, ``_current`` is being responded to (both are the same request for a while), and
    ``_queue`` holds requests whose headers have come meanwhile. While the client does not read its responses no handler
    is started, and while requests wait nothing is read.
    """

    __slots__ = (
        *("transport", "loop", "date", "memory", "write_paused", "_host", "_limits", "_parser"),
        *("_incoming", "_headers_done", "_received", "_last_read", "_body_received", "_current", "_queue", "_error"),
        *("_read_paused", "_lingering", "_half_closed", "_drained", "_unsent", "_since", "_stalled_since"),
    )

    def __init__(self, host: Host) -> None:
        self.transport: asyncio.Transport
        self.loop = host.loop
        self.date = host.date
        self.memory = host.memory
        self.write_paused = False
        self._host = host
        self._limits = host.limits
        self._parser = HttpRequestParser(self)
        self._incoming: Http1Exchange | None = None
        self._headers_done = True
        # Bytes of the incoming request after the read in which it began, or between requests; bytes of the latest read;
        # bytes of the request's body.
        self._received = self._last_read = self._body_received = 0
        self._current: Http1Exchange | None = None
        self._queue: deque[Http1Exchange] = deque()
        self._error: BadRequestError | None = None  # what the client gets when the queue is done, before the end
        self._read_paused = self._lingering = self._half_closed = False
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0
        self._since = self._stalled_since = self.loop.time()

    # -- for the exchange

    @property
    def closing(self) -> bytes:
        exchange = self._current
        assert exchange is not None
        last = self._host.retiring or (self._half_closed and not self._queue)
        if exchange.persistent and exchange.complete and not last:
            return _KEEP_ALIVE if exchange.legacy else b""
        exchange.persistent = False
        return _CLOSE

    def wanted(self) -> None:
        exchange = self._current
        if exchange is None:
            return
        if exchange.expects:
            exchange.expects = False
            if not exchange.started:
                self.transport.write(_CONTINUE)
        self._resume_reading()

    async def writable(self) -> None:
        if self.write_paused:
            self._drained = self.loop.create_future()
            await self._drained

    def ended(self, *, whole: bool) -> None:
        exchange, self._current = self._current, None
        if exchange is None:
            return
        self._since = self.loop.time()
        if not whole:
            self.transport.abort()
        elif not exchange.persistent:
            if exchange.complete and not self._queue and self._incoming is None:
                self.transport.close()
            else:
                self._linger()
        elif self._queue:
            self._start_next()
        elif self._error is not None:
            self._respond_with(self._error)
        elif self._host.draining and self._incoming is None:
            self.transport.close()

    # -- for the server

    @property
    def is_idle(self) -> bool:
        """Whether nothing of a request or a response is under way."""
        return self._current is None and self._incoming is None and not self._lingering and not self.write_paused

    def retire(self) -> None:
        """From now on ``closing`` says so with each response."""

    def drain(self) -> None:
        """Close the connection when it is idle; otherwise the response at work is its last."""
        if self.is_idle:
            self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def check(self, now: float) -> None:
        """End what has taken too long."""
        if self.write_paused:
            self._check_stall(now)
        elif self._lingering:
            return  # that ends by itself
        elif self._read_paused:
            self._since = now  # it is not the client who is slow
        elif self._incoming is not None:
            self._check_headers(self._incoming, now - self._since)
        elif self._current is None and _exceeds(now - self._since, self._limits.idle_seconds):
            self.transport.close()

    def _check_stall(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._stalled_since = unsent, now
        elif _exceeds(now - self._stalled_since, self._limits.stall_seconds):
            self.transport.abort()

    def _check_headers(self, exchange: Http1Exchange, seconds: float) -> None:
        limits = self._limits
        if not self._headers_done:
            for limit in (limits.header_seconds, limits.read_seconds):
                if _exceeds(seconds, limit):
                    self._respond_with(BadRequestError(408, f"the request's headers did not arrive within {limit:g} s"))
                    return
        elif _exceeds(seconds, limits.read_seconds):
            exchange.fail(BodyTooSlowError(f"the request body did not arrive within {limits.read_seconds:g} s"))

    # -- receiving

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._error is not None:
            return
        self._last_read = len(data)
        self._received += self._last_read
        try:
            self._parse(data)
        except HttpParserError as err:
            self._respond_with(self._error or BadRequestError(400, f"this is not HTTP/1.1: {err}"))
            return
        if self._received > self._limits.header_bytes and self._too_much_framing():
            return
        current = self._current
        if current is None:
            if self._queue:
                self._start_next()
        elif (self._queue or (current.full and not current.complete)) and not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as err:
            self._decline_upgrade(data[err.args[0] :])

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 (RFC 9110 §7.8): llhttp stops after the headers, so it gets those again without."""
        exchange = self._queue.pop()  # handlers start when all has been parsed
        lines = b"".join([b"%b: %b\r\n" % header for header in exchange.headers if header[0] not in _OF_AN_UPGRADE])
        first = b"%b %b HTTP/%b\r\n" % (exchange.method, exchange.target, exchange.version.encode())
        self._parser = HttpRequestParser(self)
        self._parse(first + lines + (_KEEP_ALIVE if exchange.persistent else _CLOSE) + b"\r\n" + rest)

    def _too_much_framing(self) -> bool:
        """End a request whose headers, chunk extensions or trailers have no end, and empty lines before one."""
        if self._incoming is None or not self._headers_done:
            self._respond_with(self._too_large())
            return True
        if self._received <= self._limits.header_bytes + (1 + _FRAMING_RATIO) * self._body_received:
            return False
        self._respond_with(BadRequestError(400, "chunk sizes, extensions or trailers are too long for their body"))
        return True

    def _start_next(self) -> None:
        if self.write_paused:  # the client must read what it has been sent first
            return
        exchange = self._current = self._queue.popleft()
        if not self._queue:
            self._resume_reading()
        self._host.begin(exchange)

    def _resume_reading(self) -> None:
        if self._read_paused and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()

    def _drop_queue(self) -> None:
        while self._queue:
            self._queue.popleft().release()

    # -- errors

    def _too_large(self) -> BadRequestError:
        return BadRequestError(431, f"the request's headers exceed {self._limits.header_bytes} bytes")

    def _respond_with(self, error: BadRequestError) -> None:
        """Respond in the handler's place, after the responses before, and close the connection."""
        self._error = error
        if self._current is None and self._queue:
            self._start_next()
        if self._incoming is not None and self._headers_done:  # its handler must learn that its body is broken
            self._incoming.fail(error)
        elif self._current is None:
            target = b"" if self._incoming is None else self._incoming.path
            self._current = Http1Exchange(self, 0)
            headers, body = self._host.error_response(error.status, str(error), target)
            self._current.respond(error.status, headers, body)

    def _linger(self) -> None:
        """Close for writing and read on a little, or the client's system could discard what it was sent."""
        self._lingering = True
        self._incoming = None
        self._drop_queue()
        self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(self._limits.linger_seconds, self.transport.abort)
        else:
            self.transport.close()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._host.opened(self)

    def eof_received(self) -> bool:
        """Keep the connection open for responses that cost nothing to a client that has gone.

        A client that closes for writing after its requests and one that closes altogether look the same. GET and HEAD
        get their responses; anything else is cancelled, because a generation that nobody reads costs an accelerator.
        """
        waiting = [*self._queue] if self._current is None else [self._current, *self._queue]
        self._half_closed = (
            bool(waiting)
            and self._incoming is None
            and all(exchange.method in (b"GET", b"HEAD") for exchange in waiting)
            and self.transport.can_write_eof()  # TLS has no half-close
        )
        return self._half_closed

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.closed(self)
        self._drop_queue()
        self._lingering = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        exchange, self._current = self._current, None
        if exchange is not None:
            exchange.disconnect()

    def pause_writing(self) -> None:
        self.write_paused = True
        self._unsent, self._stalled_since = 0, self.loop.time()

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self._current is None and not self._lingering:
            if self._queue:
                self._start_next()
            elif self._error is not None:
                self._respond_with(self._error)

    # -- llhttp

    def on_message_begin(self) -> None:
        self._incoming = Http1Exchange(self, self._limits.buffer_bytes)
        self._headers_done = False
        self._received = self._body_received = 0
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        assert self._incoming is not None
        self._incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headers_done:  # later ones are trailers
            assert self._incoming is not None
            self._incoming.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, parser = self._incoming, self._parser
        assert exchange is not None
        self._headers_done = True
        exchange.method = parser.get_method()
        exchange.persistent = parser.should_keep_alive()
        exchange.version = parser.get_http_version()
        if (error := self._check(exchange)) is not None:
            self._error, self._incoming = error, None
            raise error
        self._queue.append(exchange)

    def _check(self, exchange: Http1Exchange) -> BadRequestError | None:
        limits = self._limits
        if self._received + self._last_read > limits.header_bytes:
            size = len(exchange.target) + sum(len(name) + len(value) + 4 for name, value in exchange.headers)
            if size > limits.header_bytes:
                return self._too_large()
        if len(exchange.headers) > limits.header_count:
            return BadRequestError(431, f"the request has more than {limits.header_count} headers")
        if len(self._queue) >= limits.pipelined:
            return BadRequestError(
                503, f"{limits.pipelined} requests wait on this connection; read the responses first"
            )
        return check_headers(exchange)

    def on_body(self, data: bytes) -> None:
        if self._incoming is not None:
            self._body_received += len(data)
            self._incoming.feed(data)

    def on_message_complete(self) -> None:
        if self._incoming is not None:
            self._incoming.arrived()
            self._incoming = None
            self._received = 0


def _exceeds(seconds: float, limit: float | None) -> bool:
    return limit is not None and seconds > limit
