"""An HTTP/1.1 server for hot paths: no framework, one task for each request, one write for a plain answer.

A handler is ``async def handle(exchange) -> None``. When its client hangs up, also before a plain answer, the handler's
task is cancelled, so that whatever it waits for ends. A handler that fails is logged and its client gets an opaque 500,
or a cut connection when the answer had begun.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from time import time

from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError
from switchyard.http.server.exchange import BadRequest, Exchange, error_body
from switchyard.http.server.http1_connection import Http1Connection
from switchyard.http.server.limits import ServerLimits

__all__ = ["Exchange", "Handler", "Server", "ServerLimits"]

log = logging.getLogger(__name__)

Handler = Callable[[Exchange], Awaitable[None]]

_BACKLOG = 2048
_JSON = [(b"content-type", b"application/json")]


class Server:
    """Serves ``handler`` on one or more sockets; create and use it within one event loop."""

    def __init__(self, handler: Handler, limits: ServerLimits | None = None) -> None:
        self.limits = limits or ServerLimits()
        self.loop = asyncio.get_running_loop()
        self.retiring = self.draining = False
        self._handler = handler
        self._listeners: list[asyncio.Server] = []
        self._connections: set[Http1Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._emptied: asyncio.Future[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._date = b""
        self._date_until = 0.0

    async def listen(self, host: str | None = None, port: int = 0, *, sock: socket.socket | None = None) -> int:
        """Accepts connections and returns the port; ``host`` None means every address of this machine.

        Raises:
            OSError: the address cannot be bound.
        """
        if sock is None and host is None:
            sock = _everywhere(port)
        address = {"sock": sock} if sock is not None else {"host": host, "port": port}
        listener = await self.loop.create_server(lambda: Http1Connection(self), backlog=_BACKLOG, **address)
        self._listeners.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound

    @property
    def in_flight(self) -> int:
        """Handlers at work."""
        return len(self._tasks)

    def retire(self) -> None:
        """From now on each answer is the last of its connection, so that clients move elsewhere; idle ones stay."""
        self.retiring = True

    async def drain(self) -> None:
        """Accepts no more, closes idle connections and returns when every request in flight has been answered."""
        self.retiring = self.draining = True
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.retire()
        if self._connections:
            self._emptied = self.loop.create_future()
            await self._emptied
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Stops at once: requests in flight are cancelled."""
        for listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.transport.abort()
        await self.drain()

    # -- for connections

    def begin(self, exchange: Exchange) -> asyncio.Task[None]:
        task = self.loop.create_task(self._handle(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def date(self) -> bytes:
        now = self.loop.time()
        if now >= self._date_until:
            self._date = f"date: {formatdate(usegmt=True)}\r\n".encode()
            self._date_until = now + 1 - time() % 1
        return self._date

    def opened(self, connection: Http1Connection) -> None:
        self._connections.add(connection)
        if self._sweeper is None:
            self._sweep_later()

    def lost(self, connection: Http1Connection) -> None:
        self._connections.discard(connection)
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    # -- the rest

    async def _handle(self, exchange: Exchange) -> None:
        try:
            await self._handler(exchange)
            if exchange.finished:
                return
            log.error("a handler returned without an answer")
        except (BadRequest, BodyTooLargeError, BodyTooSlowError) as err:
            if not exchange.started:
                exchange.respond(_status(err), _JSON, error_body(str(err)))
        except Exception:
            log.exception("a handler failed")
        except asyncio.CancelledError:
            exchange.abort()
            raise
        if exchange.finished:
            return
        if exchange.started:
            exchange.abort()
        else:
            exchange.respond(500, _JSON, error_body("internal error"))

    def _sweep_later(self) -> None:
        limits = self.limits
        given = [limits.read_seconds, limits.idle_seconds, limits.stall_seconds, limits.linger_seconds]
        self._sweeper = self.loop.call_later(
            min([1.0, *[seconds / 4 for seconds in given if seconds is not None]]), self._sweep
        )

    def _sweep(self) -> None:
        """Looks for what has taken too long; one timer for all connections costs requests nothing."""
        self._sweeper = None
        now = self.loop.time()
        for connection in tuple(self._connections):
            connection.check(now)
        if self._connections:
            self._sweep_later()


def _status(err: BadRequest | BodyTooLargeError | BodyTooSlowError) -> int:
    if isinstance(err, BadRequest):
        return err.status
    return 413 if isinstance(err, BodyTooLargeError) else 408


def _everywhere(port: int) -> socket.socket:
    """A socket for both kinds of addresses, or for IPv4 alone where the system has IPv6 but no address of it."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        except OSError as err:
            if err.errno != errno.EADDRNOTAVAIL:
                raise
    return socket.create_server(("", port), backlog=_BACKLOG)
