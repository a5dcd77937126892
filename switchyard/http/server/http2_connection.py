"""A client's HTTP/2 connection: requests go to the server's handler, gRPC calls to its RPC handler."""

import asyncio
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol

from switchyard.http.addresses import address_of
from switchyard.http.api_errors import ErrorResponse
from switchyard.http.body_memory import BodyMemory
from switchyard.http.h2 import frames
from switchyard.http.h2.budget import RESET_COST, FrameBudget
from switchyard.http.h2.fields import BlockCache
from switchyard.http.h2.frames import ProtocolError
from switchyard.http.h2.grpc_call import Calls, RpcHandler
from switchyard.http.h2.request_headers import RequestHeaders
from switchyard.http.h2.server import RequestHandler, ServerConnection
from switchyard.http.h2.stream import Stream
from switchyard.http.request_errors import BodyTooSlowError
from switchyard.http.server.exchange import Exchange
from switchyard.http.server.http2_exchange import Http2Exchange
from switchyard.http.server.limits import ServerLimits
from switchyard.http.web_access import WebAccess

# Bytes of responses that a client has not taken; while there are more, none of its further requests is started.
_UNTAKEN_BYTES = 4 * 1024 * 1024
_PROGRESS_BYTES = 1024  # a client that takes less than this within ``stall_seconds`` has stalled


class Host(Protocol):
    """What a connection needs of its server."""

    limits: ServerLimits
    loop: asyncio.AbstractEventLoop
    memory: BodyMemory
    request_headers: BlockCache[RequestHeaders | None]
    rpc: RpcHandler | None
    error_response: ErrorResponse
    access: WebAccess | None

    def begin(self, exchange: Exchange) -> "asyncio.Task[None]":
        """Start the handler."""

    def run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start the handler of a gRPC call."""

    def date(self) -> bytes:
        """The value of the ``date`` header."""

    def opened(self, connection: Any) -> None: ...
    def closed(self, connection: Any) -> None: ...


class Http2Connection(ServerConnection[RequestHeaders | None]):
    """Starts a handler for each stream, and resets streams that have taken too long."""

    def __init__(self, host: Host) -> None:
        limits = host.limits
        budget = FrameBudget(limits.control_frames, limits.control_frames_per_second)
        super().__init__(host.request_headers, streams=limits.streams, allowance=budget)
        self.loop = host.loop
        self.date = host.date
        self.memory = host.memory
        self._host = host
        self._limits = limits
        self.unsent = 0
        self._held: deque[Exchange] = deque()  # requests that wait until the client has taken enough
        self._running = 0
        self._calls = Calls(host.rpc, self._run, limits.read_seconds, host.memory, host.access)
        # Two names of one request (RFC 9113 §8.3.1) matter where names do; elsewhere proxies may have rewritten one.
        self._one_host = host.access is not None and host.access.is_by_name
        self._idle_since = self.loop.time()
        self._incomplete_since: float | None = None  # when the frame or header block began that is not complete

    # -- streams

    def full(self) -> bool:
        """Count running handlers too: they may outlive their streams, and a client could start more by resetting."""
        most = self._limits.streams
        return len(self.streams) >= most or self._running >= most

    def handler_for(self, headers: RequestHeaders | None) -> RequestHandler:
        if headers is None or (headers.two_hosts and self._one_host):
            return _MALFORMED
        if headers.grpc:
            return self._calls.open(headers, self.client, self.server)
        return Http2Exchange(self, headers, self._limits.buffer_bytes)

    def begin(self, exchange: Exchange) -> None:
        if len(exchange.headers) > self._limits.header_count:
            message = f"the request has more than {self._limits.header_count} headers"
            headers, body = self._host.error_response(431, message, exchange.path)
            exchange.respond(431, headers, body)
            return
        if self.unsent > _UNTAKEN_BYTES:
            self._held.append(exchange)
        else:
            self._count(self._host.begin(exchange))

    def sent(self, size: int) -> None:
        self.unsent -= size
        self._start_held()

    def _start_held(self) -> None:
        """Start one: what it will respond with is not known yet, and the next comes when it has ended."""
        while self._held and self.unsent <= _UNTAKEN_BYTES and self._transport is not None:
            exchange = self._held.popleft()
            if not exchange.gone:
                self._count(self._host.begin(exchange))
                return

    def _run(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._count(self._host.run(work))

    def _count(self, task: "asyncio.Task[None]") -> "asyncio.Task[None]":
        self._running += 1
        task.add_done_callback(self._done)
        return task

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._running -= 1
        self._start_held()

    def broke_rules(self, stream: Stream) -> None:
        self.reset_stream(stream, frames.PROTOCOL_ERROR)
        self.spend(RESET_COST)

    def responded_early(self, stream: Stream) -> None:
        """Read on for a while, as on HTTP/1.1: curl and httpx lose a response if a reset comes during their upload."""
        if isinstance(stream.handler, Http2Exchange):
            self.loop.call_later(self._limits.linger_seconds, self._stop, stream)
        else:
            super().responded_early(stream)

    def _stop(self, stream: Stream) -> None:
        if self.streams.get(stream.id) is stream:
            super().responded_early(stream)

    @property
    def is_idle(self) -> bool:
        """Whether no stream is open."""
        return not self.streams

    # -- times

    def check(self, now: float) -> None:
        """End what has taken too long."""
        limits = self._limits
        if self._is_late(now, self._incomplete_since, limits.header_seconds):
            message = f"a frame was not complete within {limits.header_seconds:g} s"
            self.on_protocol_error(ProtocolError(frames.ENHANCE_YOUR_CALM, message))
        elif not self.streams and self._is_late(now, self._idle_since, limits.idle_seconds):
            self.drain()
        for stream in tuple(self.streams.values()):
            self._check_stream(stream, now)

    @staticmethod
    def _is_late(now: float, since: float | None, seconds: float | None) -> bool:
        return since is not None and seconds is not None and now - since > seconds

    def _check_stream(self, stream: Stream, now: float) -> None:
        if stream.pending:
            if stream.stalled is None or stream.bytes_sent - stream.stalled[0] >= _PROGRESS_BYTES:
                stream.stalled = (stream.bytes_sent, now)
            elif self._is_late(now, stream.stalled[1], self._limits.stall_seconds):
                self.reset_stream(stream, frames.CANCEL)
                stream.handler.reset(stream, frames.CANCEL)
                return
        else:
            stream.stalled = None
        exchange = stream.handler
        if isinstance(exchange, Http2Exchange) and not exchange.complete:
            if not exchange.waiting:
                exchange.since = now  # the handler is slow, not the client
            elif self._is_late(now, exchange.since, self._limits.read_seconds):
                exchange.fail(
                    BodyTooSlowError(f"the request body did not arrive within {self._limits.read_seconds:g} s")
                )

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._preface_received or self._block is not None:
            began = False
        elif self._buffer and not self._yielded:  # what waits for its turn keeps nobody waiting for the client
            began = len(self._buffer) <= len(data)  # in this read, so all before it is complete
        else:
            self._incomplete_since = None
            return
        if began or self._incomplete_since is None:
            self._incomplete_since = self.loop.time()

    def _close_stream(self, stream: Stream) -> None:
        super()._close_stream(stream)
        if isinstance(stream.handler, Http2Exchange):
            stream.handler.detach()

    def on_stream_closed(self) -> None:
        if not self.streams:
            self._idle_since = self.loop.time()
        super().on_stream_closed()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.client, self.server = address_of(transport, "peername"), address_of(transport, "sockname")
        self.scheme = "http" if transport.get_extra_info("sslcontext") is None else "https"
        self._host.opened(self)
        super().connection_made(transport)

    def on_closed(self) -> None:
        self._host.closed(self)
        self._calls.close()
        super().on_closed()


class _Malformed:
    """Resets the stream of a malformed request (RFC 9113 §8.1.1)."""

    def begin(self, stream: Stream, *, end: bool) -> None:
        connection = stream.connection
        assert isinstance(connection, Http2Connection)
        connection.broke_rules(stream)

    def data(self, stream: Stream, chunk: bytes, end: bool) -> None:
        raise AssertionError("a stream that was reset delivers nothing")

    def reset(self, stream: Stream, code: int) -> None:
        """The stream has been reset already."""


_MALFORMED = _Malformed()
