"""One port for HTTP/1.1, HTTP/2 and gRPC, with or without TLS: no framework, one task for each request.

A handler is ``async def handle(exchange) -> None``. When its client disconnects, also before a plain response, the
handler's task is cancelled, so that whatever it waits for ends. An exception in a handler is logged; its client gets a
500 without details, or an incomplete response if it had started.
"""

import asyncio
import errno
import logging
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Coroutine
from email.utils import formatdate
from itertools import islice
from time import time
from typing import Any, Protocol

from switchyard.http.api_errors import ErrorResponse, error_response
from switchyard.http.body_memory import BodyMemory
from switchyard.http.h2.fields import BlockCache
from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.http.h2.request_headers import parse_request_headers
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError, ClientDisconnectedError
from switchyard.http.server.exchange import Exchange
from switchyard.http.server.limits import ServerLimits
from switchyard.http.server.opening import ProtocolDetection, TlsListener
from switchyard.http.web_access import WebAccess
from switchyard.memory import give_back

__all__ = ["Exchange", "Handler", "Server", "ServerLimits"]

logger = logging.getLogger(__name__)

Handler = Callable[[Exchange], Awaitable[None]]

_BACKLOG = 2048
_WORTH_BYTES = 64 * 1024 * 1024  # of bodies that have gone, to give their memory back at once
_SWEEP_SECONDS = 2.5  # between checks for what takes too long, or a quarter of the shortest limit
_OLDEST = 64  # connections that are checked for an idle one, when there are too many


class Connection(Protocol):
    """A client's connection, whatever its protocol."""

    @property
    def is_idle(self) -> bool:
        """Whether no request or response is in progress."""

    def check(self, now: float) -> None:
        """End what has taken too long."""

    def retire(self) -> None:
        """Ask the client to use another connection."""

    def drain(self) -> None:
        """Close once nothing is in progress."""

    def abort(self) -> None:
        """Close at once."""


class Server:
    """Serves ``handler``, and ``rpc`` for gRPC calls, on one or more sockets; create and use it within one event loop.

    With ``tls``, which gives the context of each new connection, all are encrypted and ALPN chooses the protocol;
    otherwise the client's first bytes do. Without ``rpc``, gRPC calls get UNIMPLEMENTED. ``error_response`` makes the
    responses to requests that break the rules of HTTP, and to those that ``access`` rejects. Handlers of
    ``websocket_paths`` take WebSockets, over HTTP/1.1.
    """

    def __init__(
        self,
        handler: Handler,
        limits: ServerLimits | None = None,
        *,
        rpc: RpcHandler | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
        error_response: ErrorResponse = error_response,
        access: WebAccess | None = None,
        websocket_paths: Collection[bytes] = (),
    ) -> None:
        self.limits = limits or ServerLimits()
        self.loop = asyncio.get_running_loop()
        self.retiring = self.draining = False
        self.memory = BodyMemory(self.limits.body_memory)
        self.request_headers = BlockCache(parse_request_headers)
        self.rpc = rpc
        self.error_response = error_response
        self._handler = handler
        self.access = access
        self.websocket_paths = frozenset(websocket_paths)
        self._tls = tls
        self._listeners: list[tuple[int, asyncio.Server | TlsListener]] = []  # with their ports
        self._most = _connections_that_fit(self.limits.connections)
        self._connections: dict[Connection, None] = {}  # the oldest first
        self._tasks: set[asyncio.Task[None]] = set()
        self._emptied: asyncio.Future[None] | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._date = b""
        self._date_until = 0.0

    async def listen(self, host: str | None = None, port: int = 0, *, sock: socket.socket | None = None) -> int:
        """Accept connections; return the port. Without ``host``, listen on every address of this machine.

        Raises:
            OSError: the address cannot be bound.
        """
        if sock is None and host is None:
            sock = _everywhere(port)
        if self._tls is not None:
            sockets = [sock] if sock is not None else await self._bind(host, port)
            bound = int(sockets[0].getsockname()[1])
            self._listeners += [(bound, TlsListener(self, one, self._tls)) for one in sockets]
            return bound
        address: dict[str, Any] = {"sock": sock} if sock is not None else {"host": host, "port": port}
        listener = await self.loop.create_server(lambda: ProtocolDetection(self), backlog=_BACKLOG, **address)
        bound = int(listener.sockets[0].getsockname()[1])
        self._listeners.append((bound, listener))
        return bound

    def close_port(self, port: int) -> None:
        """Accept no more connections at ``port``; those that are open stay, and other ports too."""
        for bound, listener in self._listeners:
            if bound == port:
                listener.close()
        self._listeners = [(bound, listener) for bound, listener in self._listeners if bound != port]

    async def _bind(self, host: str | None, port: int) -> list[socket.socket]:
        """Listen on every address of ``host``, on one port for all of them."""
        sockets: list[socket.socket] = []
        found = await self.loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in {(info[0], info[4]): None for info in found}:
            bound = sockets[0].getsockname()[1] if sockets else port
            sockets.append(socket.create_server((address[0], bound), family=family, backlog=_BACKLOG))
        return sockets

    @property
    def in_flight(self) -> int:
        """The number of running handlers."""
        return len(self._tasks)

    def retire(self) -> None:
        """Make each response the last of its connection, so that clients move elsewhere; idle connections stay."""
        self.retiring = True
        for connection in tuple(self._connections):
            connection.retire()

    async def drain(self) -> None:
        """Accept no more, close idle connections, and return when every request in flight has its response."""
        self.retiring = self.draining = True
        for _, listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.drain()
        if self._connections:
            self._emptied = self.loop.create_future()
            await self._emptied
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def aclose(self) -> None:
        """Stop at once: cancel requests in flight."""
        for _, listener in self._listeners:
            listener.close()
        for connection in tuple(self._connections):
            connection.abort()
        for task in self._tasks:
            if not task.cancelling():
                task.cancel()
        await self.drain()

    # -- for connections

    def begin(self, exchange: Exchange) -> asyncio.Task[None]:
        exchange.task = task = self.loop.create_task(self._handle(exchange))
        return task

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def date(self) -> bytes:
        """The value of the ``date`` header."""
        now = self.loop.time()
        if now >= self._date_until:
            self._date = formatdate(usegmt=True).encode()
            self._date_until = now + 1 - time() % 1
        return self._date

    def opened(self, connection: Connection) -> None:
        if len(self._connections) >= self._most:
            self._make_room(connection)
        self._connections[connection] = None
        if self._sweeper is None:
            self._sweep_later()

    def closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        if self._emptied is not None and not self._connections and not self._emptied.done():
            self._emptied.set_result(None)

    def _make_room(self, connection: Connection) -> None:
        """Close an idle one of the oldest connections, or else the new one."""
        for old in islice(self._connections, _OLDEST):
            if old.is_idle:
                old.abort()
                return
        connection.abort()

    # -- the rest

    async def _handle(self, exchange: Exchange) -> None:
        task = exchange.task
        assert task is not None
        self._tasks.add(task)  # here and not by a callback of the task, which costs a turn of the loop
        try:
            if self.access is not None:
                # By a WebSocket a page sends what it likes, and reads the responses: it is no GET (CWE-1385).
                self.access.check(b"POST" if exchange.upgrades else exchange.method, exchange.fields)
            await self._handler(exchange)
            if exchange.finished:
                return
            logger.error("a handler returned without a response")
        except (BadRequestError, BodyTooLargeError, BodyTooSlowError) as err:
            if not exchange.started:
                self._fail(exchange, _status(err), str(err))
        except ClientDisconnectedError:
            exchange.abort()
        except Exception:
            logger.exception("a handler failed")  # without the path, which may hold what nobody is to read
        except asyncio.CancelledError:
            exchange.abort()
            raise
        finally:
            self._tasks.discard(task)
        if exchange.finished:
            return
        if exchange.started:
            exchange.abort()
        else:
            self._fail(exchange, 500, "internal error")

    def _fail(self, exchange: Exchange, status: int, message: str) -> None:
        headers, body = self.error_response(status, message, exchange.path)
        exchange.respond(status, headers, body)

    def _sweep_later(self) -> None:
        limits = self.limits
        seconds = [limits.header_seconds, limits.read_seconds, limits.idle_seconds, limits.stall_seconds]
        seconds += [limits.ping_seconds, limits.quiet_seconds]
        shortest = min([limit for limit in seconds if limit is not None], default=_SWEEP_SECONDS)
        self._sweeper = self.loop.call_later(min(_SWEEP_SECONDS, shortest / 4), self._sweep)

    def _sweep(self) -> None:
        """End what has taken too long; one timer for all connections costs requests nothing."""
        self._sweeper = None
        now = self.loop.time()
        for connection in tuple(self._connections):
            connection.check(now)
        self._give_back_memory()
        if self._connections:
            self._sweep_later()

    def _give_back_memory(self) -> None:
        """Give memory back after bodies that were many or large: the next ones may never come."""
        memory = self.memory
        if memory.most - memory.used > _WORTH_BYTES:
            memory.most = memory.used
            self.loop.run_in_executor(None, give_back)


def _status(err: BadRequestError | BodyTooLargeError | BodyTooSlowError) -> int:
    if isinstance(err, BadRequestError):
        return err.status
    return 413 if isinstance(err, BodyTooLargeError) else 408


def _connections_that_fit(wanted: int) -> int:
    """Return ``wanted``, but at most half of the files that this process may open: handlers need some too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 2 * wanted < hard or soft < hard <= 2 * wanted:
        soft = min(2 * wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return min(wanted, soft // 2)


def _everywhere(port: int) -> socket.socket:
    """Bind a socket for IPv6 and IPv4, or for IPv4 alone where the system supports IPv6 but has no such address."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG)
        except OSError as err:
            if err.errno != errno.EADDRNOTAVAIL:
                raise
    return socket.create_server(("", port), backlog=_BACKLOG)
