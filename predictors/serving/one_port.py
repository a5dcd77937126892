"""HTTP/1.1 and HTTP/2 without TLS on one port, told apart by their first bytes.

Knative opens one port of a pod, and its networking layer speaks one protocol to it: where that is called ``h2c``, gRPC
and all else come as HTTP/2, while probes and local mode speak HTTP/1.1.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from switchyard.http.asgi import App
from switchyard.http.h2.frames import PREFACE
from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.http.h2.multiplexer import Door, DoorConnection


class OnePort(asyncio.Protocol):
    """A connection until its first bytes have come; one of uvicorn's protocols, as far as its server can see."""

    def __init__(self, http1: Callable[[], HttpToolsProtocol], door: Door, connections: set[Any]) -> None:
        self._http1 = http1
        self._door = door
        self._connections = connections
        self._begun = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def shutdown(self) -> None:
        """Nothing was asked yet, so nothing is lost."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._begun += data
        if not PREFACE.startswith(self._begun[: len(PREFACE)]):
            self._become(self._http1())
        elif len(self._begun) >= len(PREFACE):
            self._become(_Http2(self._door, self._connections))

    def _become(self, protocol: asyncio.Protocol) -> None:
        self._connections.discard(self)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(self._begun)


class _Http2(DoorConnection):
    """A connection that uvicorn's server waits for when it ends."""

    def __init__(self, door: Door, connections: set[Any]) -> None:
        super().__init__(door)
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.add(self)

    def goodbye(self) -> None:
        super().goodbye()
        self._connections.discard(self)

    def shutdown(self) -> None:
        self.drain()


class Protocols:
    """What ``uvicorn.Config`` takes as ``http``: makes the protocol of each connection; ``rpc`` gets gRPC calls."""

    def __init__(self, rpc: RpcHandler) -> None:
        self._rpc = rpc
        self._door: Door | None = None

    def __call__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> OnePort:
        if self._door is None:
            app = cast(App, config.loaded_app)
            self._door = Door(app, self._rpc, lambda: server_state.default_headers, server_state.tasks)

        def http1() -> HttpToolsProtocol:
            return HttpToolsProtocol(config, server_state, app_state, _loop)

        return OnePort(http1, self._door, server_state.connections)
