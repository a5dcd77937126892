"""The connections on which a client's gRPC calls go on.

Each client's connection has its own, so that no client's window can hold up another's calls.
"""

import asyncio
from typing import Protocol

from switchyard.http.h2 import frames
from switchyard.http.h2.connection import Connection, own_settings
from switchyard.http.h2.fields import Memory, Reader, literal
from switchyard.http.h2.grpc_call.headers import RpcResponse, read_response
from switchyard.http.h2.stream import Half, Stream
from switchyard.rpc.status import RpcError, RpcStatus

CONNECTIONS = 64  # at a time for one connection of a client
_CONNECT_SECONDS = 5.0  # as the HTTP client has it
_LAST_NUMBER = 2**31 - 1

_responses = Memory(read_response)


class UpstreamUnavailable(Exception):
    """A call's target could not be reached or was lost before any byte of a response; it may be forwarded again.

    ``refused`` says that the target is there and takes no more calls on this connection (REFUSED_STREAM).
    """

    def __init__(self, message: str, *, refused: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.refused = refused


class ResponseHandler(Half, Protocol):
    """What hears a response: its headers and its trailers come as ``headers``."""

    def headers(self, response: RpcResponse, end: bool) -> None: ...


class UpstreamConnection(Connection):
    """A connection to a call's target; what is sent before it stands is kept until then."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.target = target
        self.authority = literal(b":authority", target.encode())
        self._takes_more = True
        self._most_streams = frames.MAX_WINDOW  # until the peer has said how many it takes
        self._next = 1
        self._reader = Reader(_responses)
        self.stands = False
        self._settled = asyncio.Event()
        self._error: OSError | None = None
        self.write(frames.PREFACE + own_settings(ENABLE_PUSH=0))
        self._connecting = asyncio.ensure_future(self._connect())

    @property
    def takes_more(self) -> bool:
        """Whether another stream may be opened."""
        return self._takes_more and len(self.streams) < self._most_streams

    async def ready(self) -> None:
        """Returns when the connection stands, and has said how many streams it takes.

        Raises:
            UpstreamUnavailable: it cannot be had.
        """
        await self._settled.wait()
        if not self.stands:
            raise self.unavailable(frames.INTERNAL_ERROR)

    def unavailable(self, code: int) -> UpstreamUnavailable:
        """Why a stream that ended with ``code`` got no response."""
        if self._error is not None:
            return UpstreamUnavailable(f"{self.target} cannot be reached: {self._error.strerror or self._error}")
        if code == frames.REFUSED_STREAM:
            return UpstreamUnavailable(f"{self.target} takes no more calls now", refused=True)
        return UpstreamUnavailable(f"the connection to {self.target} was lost before it responded")

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

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        response = self._reader.read(block)
        stream = self.streams.get(number)
        if stream is None:
            return
        stream.heard_all = end
        handler: ResponseHandler = stream.half  # type: ignore[assignment]  # open() takes no other
        handler.headers(response, end)
        if end and stream.finished:
            self._forget(stream)

    def idle(self, number: int) -> bool:
        return number >= self._next or not number % 2

    def settings_acknowledged(self) -> None:
        self._reader.acknowledged()

    def settings_received(self, values: dict[int, int]) -> None:
        self._most_streams = values.get(frames.MAX_CONCURRENT_STREAMS, self._most_streams)
        self.stands = True
        self._settled.set()

    def going_away(self, last: int) -> None:
        self._takes_more = False
        for stream in [stream for number, stream in self.streams.items() if number > last]:
            self._forget(stream)
            stream.half.reset(stream, frames.REFUSED_STREAM)
        self.forgotten()

    def forgotten(self) -> None:
        if not (self._takes_more or self.streams):
            self.close()

    def goodbye(self) -> None:
        self._takes_more = self.stands = False
        self._settled.set()

    def close(self) -> None:
        self._connecting.cancel()
        super().close()


class Upstreams:
    """The upstream connections of one client's connection, at most ``CONNECTIONS``, reused from call to call."""

    def __init__(self) -> None:
        self._connections: dict[str, list[UpstreamConnection]] = {}

    def get(self, target: str) -> UpstreamConnection:
        """A connection to ``target`` (``host:port``) that takes another stream; it may yet have to be established.

        Raises:
            RpcError: too many connections have calls on them.
        """
        for connection in self._connections.get(target, ()):
            if connection.takes_more:
                return connection
        self._make_room()
        made = UpstreamConnection(target)
        self._connections.setdefault(target, []).append(made)
        return made

    def close(self) -> None:
        connections, self._connections = self._connections, {}
        for connection in [one for group in connections.values() for one in group]:
            connection.close()

    def _make_room(self) -> None:
        """Forgets what is closed, and closes what is idle should that not be enough."""
        groups = self._connections.items()
        self._connections = {
            target: kept
            for target, group in groups
            if (kept := [one for one in group if one.takes_more or one.streams])
        }
        everything = [one for group in self._connections.values() for one in group]
        if len(everything) < CONNECTIONS:
            return
        idle = next((one for one in everything if not one.streams), None)
        if idle is None:
            message = f"calls of this connection go on to {CONNECTIONS} servers already; open another connection"
            raise RpcError(RpcStatus.RESOURCE_EXHAUSTED, message)
        self._connections[idle.target].remove(idle)
        idle.close()


def address_of(target: str) -> tuple[str, int]:
    """Host and port of ``host:port`` or ``[host]:port``.

    Raises:
        OSError: it is neither.
    """
    host, _, port = target.rpartition(":")
    if not (host and port.isdecimal()):
        raise OSError(f"{target!r} is no host:port")
    return host.strip("[]"), int(port)
