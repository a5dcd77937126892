"""One port for both: gRPC calls go where a proxy sends them, all other requests to an ASGI application."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from urllib.parse import unquote

from switchyard.http.asgi import App, Scope
from switchyard.http.h2 import frames
from switchyard.http.h2.asgi_stream import Exchange
from switchyard.http.h2.fields import Field, Memory
from switchyard.http.h2.grpc_call import Calls, RpcHandler
from switchyard.http.h2.request_head import Head, read_head
from switchyard.http.h2.server import STREAMS, Handler, ServerConnection
from switchyard.http.h2.stream import Stream


class Door:
    """What connections to the port share; each answer of ``app`` carries ``headers``, and runs in one of ``tasks``."""

    def __init__(
        self,
        app: App,
        rpc: RpcHandler | None,
        headers: Callable[[], Sequence[Field]] = tuple,
        tasks: "set[asyncio.Task[None]] | None" = None,
    ) -> None:
        self.app = app
        self.rpc = rpc
        self.headers = headers
        self.tasks: set[asyncio.Task[None]] = set() if tasks is None else tasks
        self.heads: Memory[Head | None] = Memory(read_head)


class DoorConnection(ServerConnection[Head | None]):
    """A client's connection."""

    def __init__(self, door: Door) -> None:
        super().__init__(door.heads)
        self._door = door
        self._running = 0
        self._calls = Calls(door.rpc, self._start)
        self.on_closed.append(self._calls.close)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._addresses = [_address(transport, name) for name in ("sockname", "peername")]

    def full(self) -> bool:
        """Work may outlive its stream, so a client cannot have more of it by giving up what it asked."""
        return super().full() or self._running >= STREAMS

    def take(self, head: Head | None) -> Handler:
        if head is None:
            return _Malformed()
        server, client = self._addresses
        if head.grpc:
            return self._calls.open(head, client, server)
        return Exchange(head, scope_of(head, server, client), self._door.app, self._door.headers(), self._run)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        self._start(work)

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.ensure_future(work)
        self._running += 1
        self._door.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._running -= 1
        self._door.tasks.discard(task)


def scope_of(head: Head, server: Any, client: Any) -> Scope:
    """The ASGI scope of a request; the two addresses are the connection's."""
    path, _, query = head.target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "2",
        "server": server,
        "client": client,
        "scheme": "http",
        "method": head.method.decode("latin-1"),
        "root_path": "",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "headers": list(head.headers),
        "state": {},
    }


def _address(transport: asyncio.BaseTransport, name: str) -> tuple[str, int] | None:
    """None when the client has hung up already."""
    address = transport.get_extra_info(name)
    return address[:2] if address else None


class _Malformed:
    """Answers a request whose head breaks the rules (RFC 9113 §8.1.1)."""

    def begin(self, stream: Stream, *, end: bool) -> None:
        stream.connection.cut(stream, frames.PROTOCOL_ERROR)

    def data(self, stream: Stream, piece: bytes, end: bool) -> None:
        raise AssertionError("nothing is heard of a stream that was cut")

    def reset(self, stream: Stream, code: int) -> None:
        """It has ended already."""
