"""A client's connection in HTTP/2: requests to the server's handler, gRPC calls to where those go."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from switchyard.http.h2 import frames
from switchyard.http.h2.budget import RESET_COST, FrameBudget
from switchyard.http.h2.fields import Memory
from switchyard.http.h2.frames import BadFrame
from switchyard.http.h2.grpc_call import Calls, RpcHandler
from switchyard.http.h2.request_head import Head
from switchyard.http.h2.server import Handler, ServerConnection
from switchyard.http.h2.stream import Stream
from switchyard.http.request_errors import BodyTooSlowError
from switchyard.http.server.exchange import BodyMemory, Exchange, address_of
from switchyard.http.server.http2_exchange import Http2Exchange
from switchyard.http.server.limits import ServerLimits

_HEADWAY_BYTES = 1024  # that a client takes within the time for a stalled one, or it is one


class Host(Protocol):
    """What a connection needs of its server."""

    limits: ServerLimits
    loop: asyncio.AbstractEventLoop
    memory: BodyMemory
    heads: Memory[Head | None]
    rpc: RpcHandler | None

    def begin(self, exchange: Exchange) -> "asyncio.Task[None]":
        """Start the handler."""

    def run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start what answers a gRPC call."""

    def date(self) -> bytes:
        """The value of the ``date`` header."""

    def opened(self, connection: Any) -> None: ...
    def closed(self, connection: Any) -> None: ...


class Http2Connection(ServerConnection[Head | None]):
    """Starts a handler for each stream, and resets streams that have taken too long."""

    def __init__(self, host: Host) -> None:
        limits = host.limits
        budget = FrameBudget(limits.control_frames, limits.control_frames_per_second)
        super().__init__(host.heads, streams=limits.streams, allowance=budget)
        self.loop = host.loop
        self.date = host.date
        self.memory = host.memory
        self._host = host
        self._limits = limits
        self._running = 0
        self._calls = Calls(host.rpc, self._run, limits.read_seconds)
        self._since = self.loop.time()  # the last stream ended
        self._incomplete_since: float | None = None  # a frame or a block of header fields

    # -- streams

    def full(self) -> bool:
        """A handler may outlive its stream, so a client cannot have more work done by giving up what it asked."""
        return super().full() or self._running >= self._limits.streams

    def take(self, head: Head | None) -> Handler:
        if head is None:
            return _MALFORMED
        if head.grpc:
            return self._calls.open(head, self.client, self.server)
        return Http2Exchange(self, head, self._limits.buffer_bytes)

    def begin(self, exchange: Exchange) -> None:
        self._count(self._host.begin(exchange))

    def _run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._count(self._host.run(work))

    def _count(self, task: "asyncio.Task[None]") -> "asyncio.Task[None]":
        self._running += 1
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._running -= 1

    def broke_rules(self, stream: Stream) -> None:
        self.cut(stream, frames.PROTOCOL_ERROR)
        self.spend(RESET_COST)

    @property
    def is_idle(self) -> bool:
        """Whether no stream is open."""
        return not self.streams

    # -- times

    def check(self, now: float) -> None:
        """End what has taken too long."""
        limits = self._limits
        if self._is_late(now, self._incomplete_since, limits.header_seconds):
            self.on_bad(BadFrame(frames.ENHANCE_YOUR_CALM, f"no whole frame within {limits.header_seconds:g} s"))
        elif not self.streams and self._is_late(now, self._since, limits.idle_seconds):
            self.drain()
        for stream in tuple(self.streams.values()):
            self._check_stream(stream, now)

    @staticmethod
    def _is_late(now: float, since: float | None, seconds: float | None) -> bool:
        return since is not None and seconds is not None and now - since > seconds

    def _check_stream(self, stream: Stream, now: float) -> None:
        if stream.pending:
            if stream.stalled is None or stream.sent - stream.stalled[0] >= _HEADWAY_BYTES:
                stream.stalled = (stream.sent, now)
            elif self._is_late(now, stream.stalled[1], self._limits.stall_seconds):
                self.cut(stream, frames.CANCEL)
                stream.half.reset(stream, frames.CANCEL)
                return
        else:
            stream.stalled = None
        exchange = stream.half
        if isinstance(exchange, Http2Exchange) and not exchange.complete:
            if not exchange.waiting:
                exchange.since = now  # it is not the client who is slow
            elif self._is_late(now, exchange.since, self._limits.read_seconds):
                exchange.fail(
                    BodyTooSlowError(f"the request body did not arrive within {self._limits.read_seconds:g} s")
                )

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._greeted or self._block is not None:
            began = False
        elif self._rest:
            began = len(self._rest) <= len(data)  # in this read, so what came before it is complete
        else:
            self._incomplete_since = None
            return
        if began or self._incomplete_since is None:
            self._incomplete_since = self.loop.time()

    def forgotten(self) -> None:
        if not self.streams:
            self._since = self.loop.time()
        super().forgotten()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client, self.server = address_of(transport, "peername"), address_of(transport, "sockname")
        self.scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        self._host.opened(self)
        super().connection_made(transport)

    def goodbye(self) -> None:
        self._host.closed(self)
        self._calls.close()
        super().goodbye()


class _Malformed:
    """Answers a request whose head breaks the rules (RFC 9113 §8.1.1)."""

    def begin(self, stream: Stream, *, end: bool) -> None:
        connection = stream.connection
        assert isinstance(connection, Http2Connection)
        connection.broke_rules(stream)

    def data(self, stream: Stream, piece: bytes, end: bool) -> None:
        raise AssertionError("nothing is heard of a stream that was reset")

    def reset(self, stream: Stream, code: int) -> None:
        """It has ended already."""


_MALFORMED = _Malformed()
