"""Bytes to requests of HTTP/1.1: llhttp parses, and what has no end is given up."""

import asyncio
from collections import deque

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from switchyard.http.server.exchange import BadRequestError
from switchyard.http.server.http1_exchange import Http1Exchange
from switchyard.http.server.http1_headers import check_headers
from switchyard.http.server.limits import ServerLimits

# Bytes parsed before others on this event loop get their turn: a read can hold 37,000 chunks of two bytes. A body of
# known length is no work for the parser, however long.
TURN_BYTES = 32 * 1024
# Bytes of framing that a byte of a body may cost, beyond what headers may have: a chunk of six bytes has as many.
_FRAMING_RATIO = 1
_OF_AN_UPGRADE = (b"upgrade", b"http2-settings", b"connection")


class Http1Reader(asyncio.Protocol):
    """Puts requests into ``queue`` when their headers are complete, and feeds them their bodies.

    ``incoming`` is the request that is being received. The subclass starts handlers after each ``parsed``.
    """

    __slots__ = (
        *("transport", "loop", "limits", "queue", "incoming", "headers_done", "received_at", "_parser", "_unparsed"),
        *("_received", "_body_received"),
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: ServerLimits) -> None:
        self.transport: asyncio.Transport
        self.loop = loop
        self.limits = limits
        self.queue: deque[Http1Exchange] = deque()
        self.incoming: Http1Exchange | None = None
        self.headers_done = True
        self.received_at = 0.0  # when the request being received began
        self._parser = HttpRequestParser(self)
        self._unparsed: bytes | memoryview = b""
        # Bytes of the incoming request after the turn in which it began, or between requests; bytes of its body.
        self._received = self._body_received = 0

    # -- what the subclass does

    @property
    def ending(self) -> bool:
        """Whether nothing more is parsed."""
        raise NotImplementedError

    @property
    def holding(self) -> bool:
        """Whether the requests that wait must be handled first."""
        raise NotImplementedError

    def new_exchange(self) -> Http1Exchange:
        raise NotImplementedError

    def parsed(self) -> None:
        """A read has been parsed as far as it goes."""
        raise NotImplementedError

    def broken(self, error: BadRequestError) -> None:
        """Nothing more can be read of this connection."""
        raise NotImplementedError

    # -- reading

    def data_received(self, data: bytes | memoryview) -> None:
        if self.ending:
            return
        if len(data) > TURN_BYTES and not self._in_sized_body:
            self._take(data[:TURN_BYTES])
            data = memoryview(data)[TURN_BYTES:]
            if not self._in_sized_body:
                self._unparsed = data
                self.transport.pause_reading()
                self.loop.call_soon(self._take_turn)
                return
        self._take(data)

    def read_on(self) -> None:
        """Read again after a pause: first what waits for its turn."""
        if self._unparsed:
            self.loop.call_soon(self._take_turn)
        else:
            self.transport.resume_reading()

    def _take_turn(self) -> None:
        if self.holding or self.transport.is_closing():
            return
        data, self._unparsed = self._unparsed, b""
        if data:
            self.data_received(data)
        if not (self._unparsed or self.holding or self.transport.is_closing()):
            self.transport.resume_reading()

    @property
    def _in_sized_body(self) -> bool:
        return self.incoming is not None and self.headers_done and self.incoming.sized

    def _take(self, data: bytes | memoryview) -> None:
        if self.ending:
            return
        self._received += len(data)
        try:
            self._parse(data)
        except HttpParserError as err:  # raised in a callback, a BadRequestError is its context
            cause = err.__context__
            error = cause if isinstance(cause, BadRequestError) else None
            self.broken(error or BadRequestError(400, f"this is not HTTP/1.1: {err}"))
        else:
            if self._received > self.limits.header_bytes and (error := self._too_much_framing()) is not None:
                self.broken(error)
            else:
                self.parsed()

    def _parse(self, data: bytes | memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as err:
            self._decline_upgrade(bytes(data[err.args[0] :]))

    def _decline_upgrade(self, rest: bytes) -> None:
        """Go on in HTTP/1.1 (RFC 9110 §7.8): llhttp stops after the headers, so it gets those again without."""
        exchange = self.queue.pop()  # handlers start when all has been parsed
        lines = b"".join([b"%b: %b\r\n" % header for header in exchange.headers if header[0] not in _OF_AN_UPGRADE])
        first = b"%b %b HTTP/%b\r\n" % (exchange.method, exchange.target, exchange.version.encode())
        connection = b"connection: keep-alive\r\n\r\n" if exchange.persistent else b"connection: close\r\n\r\n"
        self._parser = HttpRequestParser(self)
        self._parse(first + lines + connection + rest)

    def _too_much_framing(self) -> BadRequestError | None:
        """Find headers, chunk extensions or trailers that have no end, and empty lines before a request."""
        if self.incoming is None or not self.headers_done:
            return self._too_large()
        if self._received <= self.limits.header_bytes + (1 + _FRAMING_RATIO) * self._body_received:
            return None
        return BadRequestError(400, "chunk sizes, chunk extensions or trailers are too long for their body")

    def _too_large(self) -> BadRequestError:
        return BadRequestError(431, f"the request's headers exceed {self.limits.header_bytes} bytes")

    # -- llhttp

    def on_message_begin(self) -> None:
        self.incoming = self.new_exchange()
        self.headers_done = False
        self._received = self._body_received = 0
        self.received_at = self.loop.time()

    def on_url(self, url: bytes) -> None:
        assert self.incoming is not None
        self.incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.headers_done:  # later ones are trailers
            assert self.incoming is not None
            self.incoming.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, parser = self.incoming, self._parser
        assert exchange is not None
        self.headers_done = True
        exchange.method = parser.get_method()
        exchange.persistent = parser.should_keep_alive()
        exchange.version = parser.get_http_version()
        if (error := self._check(exchange)) is not None:
            self.incoming = None
            raise error
        self.queue.append(exchange)

    def _check(self, exchange: Http1Exchange) -> BadRequestError | None:
        limits = self.limits
        if self._received + TURN_BYTES > limits.header_bytes:  # the turn in which it began is not counted
            size = len(exchange.target) + sum(len(name) + len(value) + 4 for name, value in exchange.headers)
            if size > limits.header_bytes:
                return self._too_large()
        if len(exchange.headers) > limits.header_count:
            return BadRequestError(431, f"the request has more than {limits.header_count} headers")
        if len(self.queue) >= limits.pipelined:
            return BadRequestError(503, f"{limits.pipelined} requests wait on this connection; read the responses")
        return check_headers(exchange)

    def on_body(self, data: bytes) -> None:
        if self.incoming is not None:
            self._body_received += len(data)
            self.incoming.feed(data)

    def on_message_complete(self) -> None:
        if self.incoming is not None:
            self.incoming.arrived()
            self.incoming = None
            self._received = 0
