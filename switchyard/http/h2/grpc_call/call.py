"""One gRPC call: its handler may read the first message, then forwards the call as frames or responds itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from switchyard.http.addresses import Address
from switchyard.http.api_errors import ApiError
from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.grpc_call.forwarding import Forwarding, Outcome
from switchyard.http.h2.grpc_call.gate import MessageGate
from switchyard.http.h2.grpc_call.handlers import CallContext
from switchyard.http.h2.grpc_call.headers import RESPONSE_HEADERS, RpcRequest, RpcResponse, end_fields
from switchyard.http.h2.grpc_call.messages import Received, framed
from switchyard.http.h2.grpc_call.upstream import UpstreamConnection, UpstreamUnavailableError
from switchyard.http.h2.stream import Stream
from switchyard.rpc import status as statuses
from switchyard.rpc.status import RpcError, RpcStatus

logger = logging.getLogger(__name__)

BUG = "internal error; the reason is in the service's log"
_NOT_KEPT = "the server was lost while it worked on this call, which is too large to be sent again; try again"


class GrpcCall:
    """A call, and the means to respond to it or to forward it.

    The handler's task is cancelled when the client resets the stream or the deadline passes. An ``RpcError`` or
    ``ApiError`` that it raises is the response. ``metadata`` is the client's, without the fields of HTTP/2 and of the
    message encoding; ``deadline`` is in the event loop's time; ``client`` and ``server`` are addresses.
    ``response_metadata``, set before the response starts, is sent with its headers and replaces an upstream's fields of
    the same names. ``on_data`` gets what is forwarded of the target's messages; ``before_end`` is awaited with its
    trailers, and must not raise; ``hidden`` fields are for it alone. ``response_frames`` and ``response_bytes`` count.
    ``status`` is None until the call is over, and CANCELLED when the client reset it.
    """

    __slots__ = (
        *("_client", "_context", "_forwarding", "_gate", "_guard", "_received", "_request", "_responding", "_task"),
        *("_timer", "before_end", "client", "deadline", "hidden", "metadata", "on_data", "path"),
        *("response_bytes", "response_frames", "response_metadata", "server", "status"),
    )

    def __init__(
        self, context: CallContext, request: RpcRequest, client: Address | None, server: Address | None
    ) -> None:
        self.path = request.path
        self.metadata = request.metadata
        self.client, self.server = client, server
        self.deadline: float | None = None
        self.response_metadata: Sequence[Field] = ()
        self.hidden: frozenset[bytes] = frozenset()
        self.on_data: Callable[[bytes], None] | None = None
        self.before_end: Callable[[RpcResponse], Awaitable[None]] | None = None
        self.response_frames = self.response_bytes = 0
        self.status: RpcStatus | None = None
        self._context = context
        self._request = request
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._forwarding: Forwarding | None = None
        self._guard: Callable[[bytes], None] | None = None
        self._gate: MessageGate | None = None
        self._responding = False

    # -- for handlers

    @property
    def fields(self) -> Mapping[bytes, bytes]:
        """The metadata for look-ups: the last value of each name, as the gateway reads HTTP's headers."""
        return self._request.fields

    async def first_message(self, limit: int, peek: int | None = None) -> bytes:
        """Return the first message without its prefix, whole or its first ``peek`` bytes; at most ``limit`` bytes.

        A compressed message is returned whole. ``forward`` still sends it; one that was read whole is kept for a retry,
        whatever its size.

        Raises:
            RpcError: there is no message, or it is incomplete, too slow, too large or in an unknown encoding.
            ApiError: the server, or the owner of the call, holds too many.
        """
        return await self._received.first_message(limit, peek, self._request.encoding, self._context.read_seconds)

    async def hold_memory(self, limit: int) -> None:
        """Count the first message as memory of the server until the call is over: whoever it is forwarded to holds it.

        Raises:
            RpcError: there is none, or it is longer than ``limit`` bytes.
            ApiError: the server, or the owner of the call, holds too many.
        """
        await self._received.reserve(limit, self._context.read_seconds)

    def held_for(self, owner: str) -> None:
        """Count what is held of messages for ``owner``, whose messages are to leave room for others'."""
        self._received.held_for(owner)

    def guard(self, check: Callable[[bytes], None], *, compressed: bool = True) -> None:
        """Show ``check`` what the client sends before it is forwarded; a ``ValueError`` that it raises ends the call.

        A compressed first message is not shown, as it was read whole, and if ``compressed`` what follows it neither.

        Raises:
            RpcError: ``check`` objects to what has been received so far.
        """
        received = self._received.joined()
        if compressed and received[:1] == b"\1":
            return
        try:
            check(received)
        except ValueError as err:
            raise RpcError(RpcStatus.INVALID_ARGUMENT, str(err)) from err
        self._guard = None if self._received.complete else check

    def check_messages(self, check: Callable[[], Awaitable[None]]) -> None:
        """Await ``check`` before each message after the first, which has been read, is forwarded.

        An ``ApiError`` that it raises ends the call when the target has responded to the messages before; there must be
        a ``before_end``.
        """
        self._gate = MessageGate(check, self._take, self._client.sent, self._context.start, self._received)

    async def forward(self, target: str, metadata: Sequence[Field] = ()) -> RpcStatus:
        """Forward frames both ways between the client and ``target`` (``host:port``) until the call is over.

        Returns:
            The target's status.

        Raises:
            UpstreamUnavailableError: the target sent no response; the call may be forwarded again, also elsewhere.
            RpcError: the target was lost and the call is too large to be sent again, or its message is incomplete.
        """
        if self._received.chunks is None:
            raise RpcError(RpcStatus.UNAVAILABLE, _NOT_KEPT)
        while not (upstream := self._context.upstreams.get(target)).established:
            await upstream.ready()  # then get one again: this may be lost or full by the time this task runs
        self._received.require_whole()
        ended: asyncio.Future[RpcStatus] = asyncio.get_running_loop().create_future()

        def end(result: Outcome) -> None:
            if not ended.done():
                if isinstance(result, RpcStatus):
                    ended.set_result(result)
                else:
                    ended.set_exception(result)

        self._forward(upstream, literals(list(metadata)), end)
        try:
            status = await ended
            if (forwarding := self._forwarding) and self.before_end and forwarding.trailers:
                await self.before_end(forwarding.trailers)
                if self._gate is not None and self._gate.error is not None and status is RpcStatus.OK:
                    raise self._gate.error
                forwarding.finish()
            return status
        except asyncio.CancelledError:
            self._abandon(RpcStatus.CANCELLED)
            raise

    def respond(self, message: bytes, metadata: Sequence[Field] = ()) -> None:
        """Send a whole response of one message; ``metadata`` goes into its trailers."""
        self.send(message)
        self.finish(metadata=metadata)

    def send(self, message: bytes) -> None:
        """Send one message of a response."""
        if self.status is None:
            self._begin_response()
            self._client.connection.send(self._client, frames.DATA, framed(message), False)

    def fail(self, status: RpcStatus, message: str, metadata: Sequence[Field] = ()) -> None:
        """End the call with an error, also in the middle of a response."""
        self.finish(status, message, metadata)

    def finish(self, status: RpcStatus = RpcStatus.OK, message: str = "", metadata: Sequence[Field] = ()) -> None:
        """End the response; does nothing when the call is over."""
        if self.status is not None:
            return
        if self.response_metadata and not statuses.is_retried(metadata):
            self._begin_response()
        fields = end_fields(status, message, metadata, started=self._responding, opening=self.response_metadata)
        self._abandon(status)
        self._client.connection.send(self._client, frames.HEADERS, literals(fields), True)
        self._over(status)

    # -- StreamHandler, for the client's stream

    def begin(self, stream: Stream, *, end: bool) -> None:
        self._client = stream
        self._received = Received(stream, self._context.retry_memory, self._context.body_memory, complete=end)
        if self._request.fault is not None:
            fault = self._request.fault
            self.fail(fault.status, fault.message, fault.metadata)
            return
        if (timeout := self._request.timeout) is not None:
            loop = asyncio.get_running_loop()
            self.deadline = loop.time() + timeout
            self._timer = loop.call_at(self.deadline, self._expire)
        self._task = self._context.start(self._run())

    def data(self, stream: Stream, chunk: bytes, end: bool) -> None:
        received = self._received
        received.follow(chunk)
        if self._guard is not None and self.status is None:
            self._check(self._guard, chunk)
        if end and self._forwarding is not None and self.status is None:
            self._check(received.check_whole, chunk)
        if self._gate is not None and self.status is None:
            self._gate.feed(chunk, end)
        else:
            self._take(chunk, end)

    def reset(self, stream: Stream, code: int) -> None:
        if self.status is None:
            self._abandon(RpcStatus.CANCELLED)
            self._over(RpcStatus.CANCELLED)
            self._cancel()

    # -- Caller, for an attempt to forward

    def response_started(self) -> None:
        """The target has responded: the call will not be retried."""
        self._responding = True
        self._received.drop()

    def response_forwarded(self, status: RpcStatus) -> None:
        """The whole response has been forwarded."""
        self._forwarding = None
        self._over(status)

    def attempt_failed(self) -> None:
        self._forwarding = None

    # -- private

    def _take(self, chunk: bytes, end: bool) -> None:
        """Forward what the client has sent, or keep it until then."""
        received = self._received
        if self.status is not None:
            self._client.sent(len(chunk))
        elif self._forwarding is not None:
            received.complete = end
            received.forwarded(chunk)
            upstream = self._forwarding.stream
            upstream.connection.send(upstream, frames.DATA, chunk, end)
        else:
            received.add(chunk, end=end)

    def _check(self, guard: Callable[[bytes], None], chunk: bytes) -> None:
        try:
            guard(chunk)
        except ValueError as err:
            self.fail(RpcStatus.INVALID_ARGUMENT, str(err))
            self._cancel()

    def _forward(self, upstream: UpstreamConnection, metadata: bytes, end: Callable[[Outcome], None]) -> None:
        remaining = None if self.deadline is None else self.deadline - asyncio.get_running_loop().time()
        forwarding = self._forwarding = Forwarding(self, self._client, end)
        forwarding.begin(upstream, self._request.block(upstream.authority, remaining, metadata), self._received)

    async def _run(self) -> None:
        try:
            await self._context.handler(self)
            if self.status is None:
                logger.error("a gRPC handler returned without a response")
                self.fail(RpcStatus.INTERNAL, BUG)
        except (RpcError, ApiError) as err:
            failure = err if isinstance(err, RpcError) else statuses.rpc_error(err)
            self.fail(failure.status, failure.message, failure.metadata)
            del failure  # it has this frame in its traceback
        except UpstreamUnavailableError as err:
            self._unavailable(err)
        except asyncio.CancelledError:
            self.fail(RpcStatus.UNAVAILABLE, "the server is stopping; try again")
            raise
        except Exception:  # the task's outermost frame
            logger.exception("a gRPC handler failed")
            self.fail(RpcStatus.INTERNAL, BUG)

    def _unavailable(self, err: UpstreamUnavailableError) -> None:
        if self.status is None and err.refused and not self._responding:
            # The client's library may then retry by itself, whatever the call does (RFC 9113 §8.7).
            self._client.connection.reset_stream(self._client, frames.REFUSED_STREAM)
            self._over(RpcStatus.UNAVAILABLE)
        else:
            self.fail(RpcStatus.UNAVAILABLE, f"{err.message}; try again")

    def _begin_response(self) -> None:
        if not self._responding:
            self._responding = True
            block = literals([*RESPONSE_HEADERS, *self.response_metadata])
            self._client.connection.send(self._client, frames.HEADERS, block, False)

    def _abandon(self, status: RpcStatus) -> None:
        """Cancel an attempt to forward, as the call ends with ``status``."""
        forwarding, self._forwarding = self._forwarding, None
        if forwarding is not None:
            forwarding.cancel(status)

    def _over(self, status: RpcStatus) -> None:
        self.status = status
        if self._timer is not None:
            self._timer.cancel()
        if self._gate is not None:
            self._gate.close()
        self._received.drop()
        self._received.release()

    def _expire(self) -> None:
        self.fail(RpcStatus.DEADLINE_EXCEEDED, "the deadline has passed")
        self._cancel()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
