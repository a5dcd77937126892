"""The loopback sockets of a run, and the servers on them."""

import asyncio
import socket

from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.http.server import Handler, Server, ServerLimits
from switchyard.http.web_access import loopback_access
from switchyard.local.activator.application import BODY_BYTES
from switchyard.local.plan import arguments


def loopback_socket() -> socket.socket:
    """Return a socket that is bound to a free loopback port."""
    # Bound before anything listens: the catalog and the environments of other processes name its port, which
    # stays the same while the service behind it sleeps and wakes.
    listener = socket.socket()
    listener.bind((arguments.LOOPBACK, 0))
    return listener


class Listener:
    """Serves ``handler``, and ``rpc`` to gRPC calls, on the sockets that it is given."""

    def __init__(self, handler: Handler, rpc: RpcHandler | None = None) -> None:
        limits = ServerLimits(body_memory=ServerLimits.memory_for(BODY_BYTES))
        self._server = Server(handler, limits, rpc=rpc, access=loopback_access(arguments.LOOPBACK))

    async def listen(self, listener: socket.socket) -> None:
        """Accept connections from now on."""
        await self._server.listen(sock=listener)

    def close(self, port: int) -> None:
        """Accept no more connections at ``port``; those that are open stay, and other ports too."""
        self._server.close_port(port)

    async def stop(self, grace: float) -> None:
        """Accept no more and finish what is in flight within ``grace`` seconds."""
        try:
            async with asyncio.timeout(grace):
                await self._server.drain()
        except TimeoutError:
            await self._server.aclose()
