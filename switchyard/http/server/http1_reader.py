"""Bytes to HTTP/1.1 requests: llhttp parses, and requests without an end are rejected."""

import asyncio
from collections import deque
from collections.abc import Collection
from functools import partial
from typing import NoReturn, cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from switchyard.http.headers import Header
from switchyard.http.request_errors import BadRequestError
from switchyard.http.server.http1_exchange import Connection, Http1Exchange
from switchyard.http.server.http1_headers import check_headers
from switchyard.http.server.limits import ServerLimits
from switchyard.http.server.websocket.handshake import is_handshake

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
        "_body_received",
        "_headers",
        "_parser",
        "_received",
        "_unparsed",
        "after_upgrade",
        "dropped",
        "ending",
        "headers_done",
        "incoming",
        "limits",
        "loop",
        "new_exchange",
        "queue",
        "received_at",
        "transport",
        "websocket_paths",
    )

    def __init__(
        self, loop: asyncio.AbstractEventLoop, limits: ServerLimits, websocket_paths: Collection[bytes] = ()
    ) -> None:
        self.transport: asyncio.Transport
        self.loop = loop
        self.limits = limits
        self.websocket_paths = websocket_paths
        self.queue: deque[Http1Exchange] = deque()
        self.incoming: Http1Exchange | None = None
        self.dropped = b""  # the path of a request whose headers were rejected, for the shape of its error
        self.headers_done = True
        self.received_at = 0.0  # when the incoming request was first seen by ``check``; 0 if that is to come
        self.ending = False  # nothing more is parsed
        self.new_exchange = partial(Http1Exchange, cast(Connection, self), limits.buffer_bytes)
        self._headers: list[Header] = []
        self._parser = HttpRequestParser(self)
        self._unparsed: bytes | memoryview = b""
        self.after_upgrade: bytearray | None = None  # what follows a request for a WebSocket, which ends HTTP
        # Bytes of the incoming request after the turn in which it began, or between requests; bytes of its body.
        self._received = self._body_received = 0

    # -- what the subclass does

    @property
    def holding(self) -> bool:
        """Whether requests that wait must be handled first."""
        raise NotImplementedError

    def parsed(self) -> None:
        """A read has been parsed as far as it goes."""
        raise NotImplementedError

    def broken(self, error: BadRequestError) -> None:
        """The connection cannot be read any further."""
        raise NotImplementedError

    # -- reading

    def data_received(self, data: bytes | memoryview, *, turn: bool = False) -> None:
        if self.after_upgrade is not None:
            self.after_upgrade += data  # no more than the rest of one read
            return
        if len(data) > TURN_BYTES and not turn:
            self._take_turns(data)
            return
        if self.ending:
            return
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as err:
            self._upgrade(bytes(data[err.args[0] :]))
            return
        except HttpParserError as err:  # raised in a callback, a BadRequestError is its context
            cause = err.__context__
            error = cause if isinstance(cause, BadRequestError) else None
            self.broken(error or BadRequestError(400, f"this is not HTTP/1.1: {err}"))
            return
        if self._received > self.limits.header_bytes and (error := self._too_much_framing()) is not None:
            self.broken(error)
        else:
            self.parsed()

    def _take_turns(self, data: bytes | memoryview) -> None:
        """Parse as much as one turn allows; a body of known length is taken whole."""
        if not (self.ending or self._in_sized_body):
            self.data_received(data[:TURN_BYTES], turn=True)
            data = memoryview(data)[TURN_BYTES:]
        if self.ending or self._in_sized_body:
            self.data_received(data, turn=True)
            return
        self._unparsed = data
        self.transport.pause_reading()
        self.loop.call_soon(self._take_turn)

    @property
    def _in_sized_body(self) -> bool:
        return self.incoming is not None and self.headers_done and self.incoming.sized

    def read_on(self) -> None:
        """Read again after a pause, first what is buffered."""
        if self._unparsed:
            self.loop.call_soon(self._take_turn)
        elif self.after_upgrade is None:
            self.transport.resume_reading()

    def _take_turn(self) -> None:
        if self.holding or self.transport.is_closing():
            return
        data, self._unparsed = self._unparsed, b""
        if data:
            self.data_received(data)
        if not (self._unparsed or self.holding or self.transport.is_closing()):
            self.transport.resume_reading()

    def _upgrade(self, rest: bytes) -> None:
        """Read no further when a handler may change the protocol; else decline (RFC 9110 §7.8)."""
        exchange = self.queue[-1]  # handlers start when all has been parsed
        if not (is_handshake(exchange) and exchange.path in self.websocket_paths):
            self._decline_upgrade(rest)
            return
        exchange.upgrades, exchange.persistent = True, False
        self.after_upgrade = bytearray(rest)
        self.transport.pause_reading()
        self.parsed()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Continue in HTTP/1.1: llhttp stops here, so it gets the headers again without the upgrade."""
        exchange = self.queue.pop()
        lines = b"".join([b"%b: %b\r\n" % header for header in exchange.headers if header[0] not in _OF_AN_UPGRADE])
        first = b"%b %b HTTP/%b\r\n" % (exchange.method, exchange.target, exchange.version.encode())
        connection = b"connection: keep-alive\r\n\r\n" if exchange.persistent else b"connection: close\r\n\r\n"
        self._parser = HttpRequestParser(self)
        self.data_received(first + lines + connection + rest, turn=True)

    def _too_much_framing(self) -> BadRequestError | None:
        """Find headers, chunk extensions or trailers without an end, and empty lines before a request."""
        if self.incoming is None or not self.headers_done:
            return self._too_large()
        if self._received <= self.limits.header_bytes + (1 + _FRAMING_RATIO) * self._body_received:
            return None
        return BadRequestError(400, "chunk sizes, chunk extensions or trailers are too long for their body")

    def _too_large(self) -> BadRequestError:
        return BadRequestError(431, f"the request's headers exceed {self.limits.header_bytes} bytes")

    # -- llhttp

    def on_message_begin(self) -> None:
        exchange = self.incoming = self.new_exchange()
        self._headers = exchange.headers
        self.headers_done = False
        self._received = self._body_received = 0
        self.received_at = 0.0

    def on_url(self, url: bytes) -> None:
        assert self.incoming is not None
        self.incoming.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        exchange, parser, limits = self.incoming, self._parser, self.limits
        assert exchange is not None
        self.headers_done = True
        self._headers = []  # for trailers, which nobody reads
        exchange.method = parser.get_method()
        exchange.persistent = parser.should_keep_alive()
        if (
            self._received + TURN_BYTES > limits.header_bytes  # the turn in which it began is not counted
            or len(exchange.headers) > limits.header_count
            or len(self.queue) >= limits.pipelined
        ):
            self._check_limits(exchange)
        if (error := check_headers(exchange, parser.get_http_version)) is not None:
            self._drop(error)
        self.queue.append(exchange)

    def _check_limits(self, exchange: Http1Exchange) -> None:
        limits = self.limits
        size = len(exchange.target) + sum(len(name) + len(value) + 4 for name, value in exchange.headers)
        if size > limits.header_bytes:
            self._drop(self._too_large())
        if len(exchange.headers) > limits.header_count:
            self._drop(BadRequestError(431, f"the request has more than {limits.header_count} headers"))
        if len(self.queue) >= limits.pipelined:
            message = f"{limits.pipelined} requests wait on this connection; read the responses"
            self._drop(BadRequestError(503, message))

    def _drop(self, error: BadRequestError) -> NoReturn:
        assert self.incoming is not None
        self.dropped = self.incoming.path
        self.incoming = None
        raise error

    def on_body(self, data: bytes) -> None:
        if self.incoming is not None:
            self._body_received += len(data)
            self.incoming.feed(data)

    def on_message_complete(self) -> None:
        if self.incoming is not None:
            self.incoming.arrived()
            self.incoming = None
            self._received = 0
