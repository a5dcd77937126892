"""One connection of a client: an ``asyncio.Protocol`` around llhttp that hands out one exchange at a time."""

import asyncio
from collections import deque
from typing import Any, Protocol, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from switchyard.http.request_errors import BodyTooSlowError
from switchyard.http.server.exchange import BadRequest, ErrorResponse, Exchange
from switchyard.http.server.http1_exchange import Http1Exchange
from switchyard.http.server.http1_head import check_head
from switchyard.http.server.limits import ServerLimits

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST = b"connection: close\r\n"
_KEPT = b"connection: keep-alive\r\n"


class Host(Protocol):
    """What a connection needs of its server."""

    limits: ServerLimits
    loop: asyncio.AbstractEventLoop
    retiring: bool
    draining: bool
    error_response: ErrorResponse

    def begin(self, exchange: Exchange) -> asyncio.Task[None]:
        """Start the handler."""

    def date(self) -> bytes:
        """The value of the ``date`` header."""

    def opened(self, connection: Any) -> None: ...
    def lost(self, connection: Any) -> None: ...


class Http1Connection(asyncio.Protocol):
    """Parses requests and starts their handlers in order; tells the one at work when the client disconnects."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.loop = host.loop
        self.date = host.date
        self._limits = host.limits
        self._parser = HttpRequestParser(self)
        self.transport: asyncio.Transport
        self._incoming: Http1Exchange | None = None  # being received
        self._head_done = True
        self._fed = self._read = 0  # bytes since the read in which an incomplete head began, and in the latest read
        self._current: Http1Exchange | None = None  # being answered
        self._queue: deque[Http1Exchange] = deque()
        self._refused: BadRequest | None = None
        self._read_paused = self._lingering = False
        self._drained: asyncio.Future[None] | None = None
        self.write_paused = False
        self._unsent = 0
        self._since = self._stalled_since = self.loop.time()

    # -- for the exchange

    @property
    def closing(self) -> bytes:
        exchange = self._current
        assert exchange is not None
        if exchange.persistent and exchange.complete and not self._host.retiring:
            return _KEPT if exchange.legacy else b""
        exchange.persistent = False
        return _LAST

    def wanted(self) -> None:
        exchange = self._current
        if exchange is None:
            return
        if exchange.expects:
            exchange.expects = False
            if not exchange.started:
                self.transport.write(_CONTINUE)
        self._resume()

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
            self._start()
        elif self._refused is not None:
            self._refuse(self._refused)
        elif self._host.draining and self._incoming is None:
            self.transport.close()

    # -- for the server

    def retire(self) -> None:
        """From now on ``closing`` says so with each response."""

    def drain(self) -> None:
        """Close the connection when it has nothing in hand; otherwise the response at work is its last."""
        if self._current is None and self._incoming is None and not self._lingering:
            self.transport.close()

    def abort(self) -> None:
        self.transport.abort()

    def check(self, now: float) -> None:
        """Ends what has taken too long."""
        limits = self._limits
        if self.write_paused:
            self._check_stall(now)
        elif self._lingering:
            if now - self._since > limits.linger_seconds:
                self.transport.abort()
        elif self._read_paused:
            self._since = now  # it is not the client who is slow
        elif self._incoming is not None:
            if limits.read_seconds is not None and now - self._since > limits.read_seconds:
                self._too_slow(self._incoming, limits.read_seconds)
        elif self._current is None and limits.idle_seconds is not None and now - self._since > limits.idle_seconds:
            self.transport.close()

    def _check_stall(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._stalled_since = unsent, now
        elif self._limits.stall_seconds is not None and now - self._stalled_since > self._limits.stall_seconds:
            self.transport.abort()

    def _too_slow(self, exchange: Http1Exchange, seconds: float) -> None:
        if self._head_done:
            exchange.fail(BodyTooSlowError(f"the request body did not arrive within {seconds:g} s"))
        else:
            self._refuse(BadRequest(408, f"the request did not arrive within {seconds:g} s"))

    # -- receiving

    def data_received(self, data: bytes) -> None:
        if self._lingering or self._refused is not None:
            return
        self._read = len(data)
        if not self._head_done:
            self._fed += self._read
        try:
            self._parse(data)
        except HttpParserError as err:
            self._refuse(self._refused or BadRequest(400, f"this is not HTTP/1.1: {err}"))
            return
        if not self._head_done and self._fed > self._limits.header_bytes:
            self._refuse(self._too_large())
            return
        current = self._current
        if current is None:
            if self._queue:
                self._start()
        elif (self._queue or (current.full and not current.complete)) and not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as err:
            self._decline_upgrade(data[err.args[0] :])

    def _decline_upgrade(self, rest: bytes) -> None:
        """Goes on in HTTP/1.1, as RFC 9110 §7.8 allows; llhttp stops after the head, so it gets that again without."""
        exchange = self._queue.pop()  # handlers start when all has been parsed
        if exchange.method == b"CONNECT":
            self._refused = BadRequest(501, "CONNECT is not served here")
            raise HttpParserError("CONNECT")
        kept = [one for one in exchange.headers if one[0] not in (b"upgrade", b"http2-settings", b"connection")]
        lines = b"".join([b"%b: %b\r\n" % header for header in kept])
        self._parser = HttpRequestParser(self)
        self._parse(b"%b %b HTTP/1.1\r\n%b\r\n" % (exchange.method, exchange.target, lines) + rest)

    def _start(self) -> None:
        exchange = self._current = self._queue.popleft()
        if not self._queue:
            self._resume()
        self._host.begin(exchange)

    def _resume(self) -> None:
        if self._read_paused and not self.transport.is_closing():
            self._read_paused = False
            self.transport.resume_reading()

    # -- refusing

    def _too_large(self) -> BadRequest:
        return BadRequest(431, f"the head of the request exceeds {self._limits.header_bytes} bytes")

    def _refuse(self, refused: BadRequest) -> None:
        """Answers in the handler's place, after what came before, and closes the connection."""
        self._refused = refused
        if self._current is None and self._queue:
            self._start()
        if self._incoming is not None and self._head_done:  # it has a handler, who must learn that its body is broken
            self._incoming.fail(refused)
        elif self._current is None:
            target = b"" if self._incoming is None else self._incoming.path
            self._current = Http1Exchange(self, 0)
            headers, body = self._host.error_response(refused.status, str(refused), target)
            self._current.respond(refused.status, headers, body)

    def _linger(self) -> None:
        """Closes for writing and reads on a little, or the client's system could discard what it was sent."""
        self._lingering = True
        self._incoming = None
        self._queue.clear()
        self._resume()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._host.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.lost(self)
        self._queue.clear()
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

    # -- llhttp

    def on_message_begin(self) -> None:
        self._incoming = Http1Exchange(self, self._limits.buffer_bytes)
        self._head_done = False
        self._fed = 0
        self._since = self.loop.time()

    def on_url(self, url: bytes) -> None:
        assert self._incoming is not None
        self._incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head_done:  # later ones are trailers
            assert self._incoming is not None
            self._incoming.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, parser = self._incoming, self._parser
        assert exchange is not None
        self._head_done = True
        exchange.method = parser.get_method()
        exchange.persistent = parser.should_keep_alive()
        exchange.version = parser.get_http_version()
        if (refused := self._look_at_head(exchange)) is not None:
            self._refused, self._incoming = refused, None
            raise refused
        self._queue.append(exchange)

    def _look_at_head(self, exchange: Http1Exchange) -> BadRequest | None:
        if self._fed + self._read > self._limits.header_bytes:
            size = len(exchange.target) + sum(len(name) + len(value) + 4 for name, value in exchange.headers)
            if size > self._limits.header_bytes:
                return self._too_large()
        return check_head(exchange)

    def on_body(self, data: bytes) -> None:
        if self._incoming is not None:
            self._incoming.feed(data)

    def on_message_complete(self) -> None:
        if self._incoming is not None:
            self._incoming.arrived()
            self._incoming = None
