"""The connections on which a client's gRPC calls are forwarded.

Each client's connection has its own, so that no client's flow-control window can hold up another's calls.
"""

import asyncio
import itertools
import socket
from typing import Protocol

from switchyard.http.h2 import frames
from switchyard.http.h2.connection import Connection, own_settings
from switchyard.http.h2.fields import BlockCache, BlockDecoder, literal
from switchyard.http.h2.grpc_call.headers import RpcResponse, read_response
from switchyard.http.h2.stream import Stream, StreamHandler
from switchyard.rpc.status import RpcError, RpcStatus

CONNECTIONS = 64  # at a time for each client's connection
_CONNECT_SECONDS = 5.0  # as the HTTP client has it
_LAST_NUMBER = 2**31 - 1

# A peer whose machine vanished closes nothing; its calls end a minute later, whether it was to respond or to read.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000),  # milliseconds that sent data may go unacknowledged
)

_responses = BlockCache(read_response)


class UpstreamUnavailableError(Exception):
    """A call's target could not be reached, or was lost before any byte of a response: the call may be retried.

    ``refused`` says that the target is up but accepts no more calls on this connection (REFUSED_STREAM), ``lost`` that
    the call had reached it: the call itself may be what it died of.
    """

    def __init__(self, message: str, *, refused: bool = False, lost: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.refused = refused
        self.lost = lost


class ResponseHandler(StreamHandler, Protocol):
    """Is told of a response; both its headers and its trailers come as ``headers``."""

    def headers(self, response: RpcResponse, end: bool) -> None: ...


class UpstreamConnection(Connection):
    """A connection to a call's target; what is sent before it is established is buffered until then."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target
        self.authority = literal(b":authority", target.encode())
        self._takes_more = True
        self._max_streams = frames.MAX_WINDOW  # until the peer's settings say how many
        self._next = 1
        self._decoder = BlockDecoder(_responses)
        self.established = False
        self._settled = asyncio.Event()
        self._error: OSError | None = None
        self.write(frames.PREFACE + own_settings(ENABLE_PUSH=0))
        self._connecting = asyncio.ensure_future(self._connect())

    @property
    def takes_more(self) -> bool:
        """Whether another stream may be opened."""
        return self._takes_more and len(self.streams) < self._max_streams

    async def ready(self) -> None:
        """Wait until the connection is established and the target's settings are known.

        Raises:
            UpstreamUnavailableError: the connection failed, or the target takes no call on it, not even a first one.
        """
        await self._settled.wait()
        if not self.established:
            raise self.unavailable(frames.INTERNAL_ERROR)
        if not (self.takes_more or self.streams):
            raise self.unavailable(frames.REFUSED_STREAM)

    def unavailable(self, code: int) -> UpstreamUnavailableError:
        """Return why a stream that was reset with ``code`` got no response."""
        if self._error is not None:
            return UpstreamUnavailableError(f"{self.target} cannot be reached: {self._error.strerror or self._error}")
        if code == frames.REFUSED_STREAM:
            return UpstreamUnavailableError(f"{self.target} accepts no more calls now", refused=True)
        message = f"the connection to {self.target} was lost before it responded"
        return UpstreamUnavailableError(message, lost=self.established)

    def open(self, handler: ResponseHandler) -> Stream:
        stream = self.streams[self._next] = Stream(self, self._next, handler)
        self._next += 2
        self._takes_more = self._takes_more and self._next < _LAST_NUMBER
        return stream

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: self, *address_of(self.target))
                await self._settled.wait()
        except TimeoutError:
            self._lost(TimeoutError(f"it did not speak HTTP/2 within {_CONNECT_SECONDS:g} s"))
        except OSError as err:
            self._lost(err)

    def _lost(self, err: OSError) -> None:
        self._error = err
        if self._transport is not None:
            self.abort()
        else:
            self.connection_lost(err)

    # -- Connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if (sock := transport.get_extra_info("socket")) is not None:  # a transport need not have one
            for level, option, value in _KEEPALIVE:
                sock.setsockopt(level, option, value)

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        response = self._decoder.decode(block)
        stream = self.streams.get(number)
        if stream is None:
            return
        stream.remote_closed = end
        handler: ResponseHandler = stream.handler  # type: ignore[assignment]  # open() takes no other
        handler.headers(response, end)
        if end and stream.local_closed:
            self._close_stream(stream)

    def is_idle_stream(self, number: int) -> bool:
        return number >= self._next or not number % 2

    def settings_acknowledged(self) -> None:
        self._decoder.acknowledged()

    def settings_received(self, values: dict[int, int]) -> None:
        self._max_streams = values.get(frames.MAX_CONCURRENT_STREAMS, self._max_streams)
        self.established = True
        self._settled.set()

    def goaway_received(self, last: int) -> None:
        self._takes_more = False
        for stream in [stream for number, stream in self.streams.items() if number > last]:
            self._close_stream(stream)
            stream.handler.reset(stream, frames.REFUSED_STREAM)
        self.on_stream_closed()

    def on_stream_closed(self) -> None:
        if not (self._takes_more or self.streams):
            self.close()

    def on_closed(self) -> None:
        self._takes_more = self.established = False
        self._settled.set()

    def close(self) -> None:
        if self._transport is None:  # once there is one, uvloop would drop it without calling ``connection_lost``
            self._connecting.cancel()
            self.on_closed()
        super().close()


class Upstreams:
    """The upstream connections of one client's connection, at most ``CONNECTIONS``, reused from call to call."""

    def __init__(self) -> None:
        self._connections: dict[str, list[UpstreamConnection]] = {}

    def get(self, target: str) -> UpstreamConnection:
        """Return a connection to ``target`` (``host:port``) that takes another stream; it may not be established yet.

        Raises:
            RpcError: ``CONNECTIONS`` have calls on them already.
        """
        for connection in self._connections.get(target, ()):
            if connection.takes_more:
                return connection
        self._make_room()
        connection = UpstreamConnection(target)
        self._connections.setdefault(target, []).append(connection)
        return connection

    def close(self) -> None:
        groups, self._connections = self._connections, {}
        for connection in itertools.chain.from_iterable(groups.values()):
            connection.close()

    def _make_room(self) -> None:
        """Close and drop connections that take no calls and have none, and an idle one if there are still too many."""
        groups: dict[str, list[UpstreamConnection]] = {}
        for connection in itertools.chain.from_iterable(self._connections.values()):
            if connection.takes_more or connection.streams:
                groups.setdefault(connection.target, []).append(connection)
            else:
                connection.close()
        self._connections = groups
        connections = list(itertools.chain.from_iterable(groups.values()))
        if len(connections) < CONNECTIONS:
            return
        idle = next((connection for connection in connections if not connection.streams), None)
        if idle is None:
            message = f"this connection's calls go to {CONNECTIONS} servers already; open another connection"
            raise RpcError(RpcStatus.RESOURCE_EXHAUSTED, message)
        self._connections[idle.target].remove(idle)
        idle.close()


def address_of(target: str) -> tuple[str, int]:
    """Return the host and the port of ``host:port`` or ``[host]:port``.

    Raises:
        OSError: ``target`` is neither.
    """
    host, _, port = target.rpartition(":")
    if not (host and port.isdecimal()):
        raise OSError(f"{target!r} is not host:port")
    return host.strip("[]"), int(port)
