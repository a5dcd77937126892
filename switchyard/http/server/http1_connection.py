"""One HTTP/1.1 connection of a client: its requests are handled one after the other."""

import asyncio
from typing import Any, Protocol, cast

from switchyard.http.addresses import Address, address_of
from switchyard.http.api_errors import ErrorResponse
from switchyard.http.body_memory import BodyMemory
from switchyard.http.request_errors import BadRequestError, BodyTooSlowError
from switchyard.http.server.exchange import Exchange
from switchyard.http.server.http1_exchange import Http1Exchange
from switchyard.http.server.http1_reader import Http1Reader
from switchyard.http.server.limits import ServerLimits
from switchyard.http.server.websocket.connection import WebSocket

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"connection: close\r\n"
_KEEP_ALIVE = b"connection: keep-alive\r\n"


class Host(Protocol):
    """What a connection needs of its server."""

    limits: ServerLimits
    loop: asyncio.AbstractEventLoop
    memory: BodyMemory
    retiring: bool
    draining: bool
    error_response: ErrorResponse
    websocket_paths: frozenset[bytes]

    def begin(self, exchange: Exchange) -> asyncio.Task[None]:
        """Start the handler."""

    def date(self) -> bytes:
        """The value of the ``date`` header."""

    def opened(self, connection: Any) -> None: ...
    def closed(self, connection: Any) -> None: ...


class Http1Connection(Http1Reader):
    """Starts the handlers of requests in their order, and cancels the current one when the client disconnects.

    ``_current`` is being responded to; for a while it is ``incoming`` too. While the client does not read its responses
    no handler is started, and while requests wait in ``queue`` nothing is read.
    """

    __slots__ = (
        "_addresses",
        "_current",
        "_drained",
        "_error",
        "_half_closed",
        "_host",
        "_idle_since",
        "_lingering",
        "_read_paused",
        "_stalled_since",
        "_unsent",
        "date",
        "memory",
        "write_paused",
    )

    def __init__(self, host: Host) -> None:
        super().__init__(host.loop, host.limits, host.websocket_paths)
        self.date = host.date
        self.memory = host.memory
        self.write_paused = False
        self._host = host
        self._addresses: tuple[Address | None, Address | None] | None = None  # once they were asked for
        self._current: Http1Exchange | None = None
        self._error: BadRequestError | None = None  # what the client gets when the queue is done, before the end
        self._read_paused = self._lingering = self._half_closed = False
        self._drained: asyncio.Future[None] | None = None
        self._unsent = 0
        self._idle_since = self._stalled_since = 0.0

    # -- for the exchange

    @property
    def addresses(self) -> tuple[Address | None, Address | None]:
        if self._addresses is None:
            self._addresses = (address_of(self.transport, "peername"), address_of(self.transport, "sockname"))
        return self._addresses

    @property
    def closing(self) -> bytes:
        exchange = self._current
        assert exchange is not None
        last = self._host.retiring or (self._half_closed and not self.queue)
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

    def upgrade(self, exchange: Exchange) -> WebSocket:
        websocket = WebSocket(self._host, exchange, self.transport)
        self._current = None
        self._host.closed(self)
        self._host.opened(websocket)
        self.transport.set_protocol(websocket)
        websocket.begin(bytes(self.after_upgrade or b""))
        return websocket

    def ended(self, *, whole: bool) -> None:
        exchange, self._current = self._current, None
        if exchange is None:
            return
        self._idle_since = 0.0
        if not whole:
            self.transport.abort()
        elif not exchange.persistent:
            if exchange.complete and not self.queue and self.incoming is None:
                self.transport.close()
            else:
                self._linger()
        elif self.queue:
            self._start_next()
        elif self._error is not None:
            self.broken(self._error)
        elif self._host.draining and self.incoming is None:
            self.transport.close()

    # -- for the server

    @property
    def is_idle(self) -> bool:
        """Whether no request or response is in progress."""
        return self._current is None and self.incoming is None and not self._lingering and not self.write_paused

    def retire(self) -> None:
        """Do nothing now: ``closing`` adds ``connection: close`` to each response from now on."""

    def drain(self) -> None:
        """Close the connection when it is idle; otherwise the current response is its last."""
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
            self.received_at = now  # it is not the client who is slow
        elif self.incoming is not None:
            self.received_at = self.received_at or now
            self._check_request(self.incoming, now - self.received_at)
        elif self._current is None:
            self._idle_since = self._idle_since or now
            if _exceeds(now - self._idle_since, self.limits.idle_seconds):
                self.transport.close()

    def _check_stall(self, now: float) -> None:
        unsent = self.transport.get_write_buffer_size()
        if unsent != self._unsent:
            self._unsent, self._stalled_since = unsent, now
        elif _exceeds(now - self._stalled_since, self.limits.stall_seconds):
            self.transport.abort()

    def _check_request(self, exchange: Http1Exchange, seconds: float) -> None:
        limits = self.limits
        if not self.headers_done:
            for limit in (limits.header_seconds, limits.read_seconds):
                if _exceeds(seconds, limit):
                    self.broken(BadRequestError(408, f"the request's headers did not arrive within {limit:g} s"))
                    return
        elif _exceeds(seconds, limits.read_seconds):
            exchange.fail(BodyTooSlowError(f"the request body did not arrive within {limits.read_seconds:g} s"))

    # -- for the reader

    @property
    def holding(self) -> bool:
        return self._read_paused

    def parsed(self) -> None:
        current = self._current
        if current is None:
            if self.queue:
                self._start_next()
        elif (self.queue or (current.full and not current.complete)) and not self._read_paused:
            self._read_paused = True
            self.transport.pause_reading()

    def broken(self, error: BadRequestError) -> None:
        """Respond in the handler's place, after the responses before, and close the connection."""
        self._error = error
        self.ending = True
        if self._current is None and self.queue:
            self._start_next()
        if self.incoming is not None and self.headers_done:  # its handler must learn that the body is broken
            self.incoming.fail(error)
        elif self._current is None:
            path = self.dropped if self.incoming is None else self.incoming.path
            self._current = Http1Exchange(self, 0)
            headers, body = self._host.error_response(error.status, str(error), path)
            self._current.respond(error.status, headers, body)

    def _start_next(self) -> None:
        if self.write_paused:  # the client must read what it has been sent first
            return
        exchange = self._current = self.queue.popleft()
        if self._read_paused and not self.queue:
            self._resume_reading()
        self._host.begin(exchange)

    def _resume_reading(self) -> None:
        if self._read_paused and not self.transport.is_closing():
            self._read_paused = False
            self.read_on()

    def _drop_queue(self) -> None:
        while self.queue:
            self.queue.popleft().release()

    def _linger(self) -> None:
        """Close for writing and read on for a while: data left unread would make the system discard the response."""
        self._lingering = self.ending = True
        self.incoming = None
        self._drop_queue()
        self._resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.loop.call_later(self.limits.linger_seconds, self.transport.abort)
        else:
            self.transport.close()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._host.opened(self)

    def eof_received(self) -> bool:
        """Keep the connection open for responses that cost little, should the client be gone.

        A client that closes for writing after its requests and one that closes altogether look the same. GET and HEAD
        get their responses; anything else is cancelled, because a generation that nobody reads costs an accelerator.
        """
        waiting = [*self.queue] if self._current is None else [self._current, *self.queue]
        self._half_closed = (
            bool(waiting)
            and self.incoming is None
            and all(exchange.method in (b"GET", b"HEAD") for exchange in waiting)
            and self.transport.can_write_eof()  # TLS has no half-close
        )
        return self._half_closed

    def connection_lost(self, exc: Exception | None) -> None:
        self._host.closed(self)
        self._drop_queue()
        self._lingering = self.ending = True
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
            if self.queue:
                self._start_next()
            elif self._error is not None:
                self.broken(self._error)


def _exceeds(seconds: float, limit: float | None) -> bool:
    return limit is not None and seconds > limit
