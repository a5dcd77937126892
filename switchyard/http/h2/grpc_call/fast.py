"""A call that a ``FastHandler`` may admit: both of its streams in one object, without a task and without a retry."""

import asyncio
import logging

from switchyard.http.addresses import Address
from switchyard.http.h2 import frames
from switchyard.http.h2.fields import literals
from switchyard.http.h2.grpc_call.call import BUG, GrpcCall
from switchyard.http.h2.grpc_call.handlers import CallContext, FastCall, FastHandler
from switchyard.http.h2.grpc_call.headers import NO_STATUS, RpcRequest, RpcResponse, end_fields
from switchyard.http.h2.grpc_call.messages import PREFIX, incomplete
from switchyard.http.h2.grpc_call.upstream import UpstreamConnection
from switchyard.http.h2.stream import Stream
from switchyard.rpc.status import RpcError, RpcStatus

logger = logging.getLogger(__name__)


class FastForwarding:
    """Waits for the beginning of the first message, then forwards the call, or leaves it to a ``GrpcCall``.

    It does what a handler's ``forward`` does, but each step of it is paid for by calls that take a tenth of a
    millisecond in all; so the general case is elsewhere, and this one has half the steps.
    """

    __slots__ = (
        *("_addresses", "_beginning", "_call", "_client", "_context", "_handler", "_over", "_request", "_responding"),
        *("_left", "_timer", "_upstream"),
    )

    def __init__(
        self,
        handler: FastHandler,
        context: CallContext,
        request: RpcRequest,
        addresses: tuple[Address | None, Address | None],
    ) -> None:
        self._handler = handler
        self._context = context
        self._request = request
        self._addresses = addresses
        self._beginning = b""
        self._left = 0  # bytes of the message that have not come
        self._responding = self._over = False
        self._call: FastCall | None = None
        self._upstream: Stream | None = None
        self._timer: asyncio.TimerHandle | None = None

    # -- StreamHandler, for the client's stream and for the upstream's

    def begin(self, stream: Stream, *, end: bool) -> None:
        self._client = stream
        if end:
            self._leave(end=True)
        elif self._request.timeout is not None:
            self._expire_after(self._request.timeout, "the deadline has passed")

    def data(self, stream: Stream, chunk: bytes, end: bool) -> None:
        if stream is not self._client:
            self._respond(chunk, end)
        elif self._upstream is not None:
            self._send(self._upstream, chunk, end)
        elif self._over:
            stream.sent(len(chunk))
        else:
            self._receive(chunk, end)

    def headers(self, response: RpcResponse, end: bool) -> None:
        if (fault := response.faults[self._responding, end]) is not None:
            self._fail(*fault)
            return
        client, call, block = self._client, self._call, response.block
        if end and call is not None and response.status not in (None, RpcStatus.OK):
            told = call.explained(response.status, response.message)
            if told != response.message:
                self._fail(response.status, told)
                return
        self._responding = True
        if end and call is not None and response.status is not None:
            block += call.trailers(response.status, response.message)
        client.connection.send(client, frames.HEADERS, block, end)
        if end:
            assert response.status is not None
            self._end(response.status, frames.NO_ERROR, response.message)

    def reset(self, stream: Stream, code: int) -> None:
        if stream is self._client:
            self._end(RpcStatus.CANCELLED)
        elif self._responding:
            self._fail(RpcStatus.UNAVAILABLE, "the connection to the server was lost during its response; try again")
        else:
            self._lost(stream, code)

    # -- towards the target

    def _receive(self, chunk: bytes, end: bool) -> None:
        beginning = self._beginning = self._beginning + chunk if self._beginning else chunk
        size = len(beginning) - PREFIX
        if end or (size >= 0 and size >= min(int.from_bytes(beginning[1:PREFIX], "big"), self._handler.peek)):
            self._decide(beginning, end)
        elif self._timer is None and self._context.read_seconds is not None:
            self._expire_after(self._context.read_seconds, "the message did not arrive in time")

    def _decide(self, beginning: bytes, end: bool) -> None:
        try:
            call = self._handler.admit(self._request, beginning) if len(beginning) >= PREFIX else None
        except Exception:
            logger.exception("a gRPC handler failed")
            self._fail(RpcStatus.INTERNAL, BUG)
            return
        if call is None:
            self._leave(end=end)
        else:
            self._forward(call, beginning, end)

    def _leave(self, *, end: bool) -> None:
        """Leave the call to the handler's task."""
        stream, beginning = self._client, self._beginning
        if self._timer is not None:
            self._timer.cancel()
        call = GrpcCall(self._context, self._request, *self._addresses)
        stream.handler = call
        call.begin(stream, end=end and not beginning)
        if beginning:
            call.data(stream, beginning, end)

    def _forward(self, call: FastCall, beginning: bytes, end: bool) -> None:
        self._call, request = call, self._request
        try:
            connection = self._context.upstreams.get(call.target)
        except RpcError as err:
            self._fail(err.status, err.message)
            return
        self._left = PREFIX + int.from_bytes(beginning[1:PREFIX], "big")
        client, stream = self._client, connection.open(self)
        self._upstream, self._beginning = stream, b""
        stream.source, client.source = client, stream
        block = request.block(connection.authority, request.timeout, call.metadata)
        connection.send(stream, frames.HEADERS, block, False)
        self._send(stream, beginning, end)

    def _send(self, upstream: Stream, chunk: bytes, end: bool) -> None:
        call = self._call
        self._left -= len(chunk)
        if end and self._left > 0:
            failure = incomplete()
            self._client.sent(len(chunk))
            self._fail(failure.status, failure.message)
            return
        if call is not None and call.guard is not None:
            try:
                call.guard(chunk)
            except ValueError as err:
                self._client.sent(len(chunk))
                self._fail(RpcStatus.INVALID_ARGUMENT, str(err))
                return
        upstream.connection.send(upstream, frames.DATA, chunk, end)

    # -- towards the client

    def _respond(self, chunk: bytes, end: bool) -> None:
        client = self._client
        if self._responding:
            client.connection.send(client, frames.DATA, chunk, False)
        if end or not self._responding:
            self._fail(RpcStatus.INTERNAL, NO_STATUS)

    def _expire_after(self, seconds: float, message: str) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._fail, RpcStatus.DEADLINE_EXCEEDED, message)

    def _lost(self, stream: Stream, code: int) -> None:
        upstream, client = stream.connection, self._client
        assert isinstance(upstream, UpstreamConnection)
        err = upstream.unavailable(code)
        if err.refused and not client.local_closed:
            # The client's library may then retry by itself, whatever the call does (RFC 9113 §8.7).
            client.connection.reset_stream(client, frames.REFUSED_STREAM)
            self._end(RpcStatus.UNAVAILABLE)
        else:
            self._fail(RpcStatus.UNAVAILABLE, f"{err.message}; try again")

    def _fail(self, status: RpcStatus, message: str) -> None:
        """End the call with an error, also in the middle of its response."""
        client = self._client
        self._end(status, message=message)
        fields = end_fields(status, message, started=self._responding)
        client.connection.send(client, frames.HEADERS, literals(fields), True)

    def _end(self, status: RpcStatus, code: int = frames.CANCEL, message: str = "") -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._beginning:
            self._client.sent(len(self._beginning))
        upstream, self._upstream = self._upstream, None
        if upstream is not None and not (upstream.local_closed and upstream.remote_closed):
            upstream.connection.reset_stream(upstream, code)
        call, self._call = self._call, None
        if call is not None:
            call.ended(status, message)
