"""One attempt to forward a gRPC call to another server."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.grpc_call.headers import NO_STATUS, RESPONSE_HEADERS, RpcResponse
from switchyard.http.h2.grpc_call.messages import Received
from switchyard.http.h2.grpc_call.upstream import UpstreamConnection, UpstreamUnavailableError
from switchyard.http.h2.stream import Stream
from switchyard.rpc.status import RpcStatus, is_retried

Outcome = RpcStatus | UpstreamUnavailableError


class Caller(Protocol):
    """The call that is being forwarded; it is told how the attempt goes."""

    response_metadata: Sequence[Field]
    hidden: frozenset[bytes]
    on_data: Callable[[bytes], None] | None
    before_end: Callable[[RpcResponse], Awaitable[None]] | None
    response_frames: int
    response_bytes: int

    def response_started(self) -> None: ...
    def response_forwarded(self, status: RpcStatus) -> None: ...
    def attempt_failed(self) -> None: ...
    def fail(self, status: RpcStatus, message: str) -> None: ...


class Forwarding:
    """The stream to the target: its frames are forwarded to the ``client``, and ``end`` is called with the outcome.

    The ``trailers`` of a call with ``before_end`` are kept until ``finish``, hidden fields among them.
    """

    __slots__ = ("_block", "_call", "_client", "_end", "_responding", "stream", "trailers")

    def __init__(self, call: Caller, client: Stream, end: Callable[[Outcome], None]) -> None:
        self._call = call
        self._client = client
        self._end = end
        self._responding = False
        self._block = b""  # the trailers for the client
        self.trailers: RpcResponse | None = None

    def begin(self, upstream: UpstreamConnection, block: bytes, received: Received) -> None:
        """Open the stream and send what the client has sent so far."""
        stream = self.stream = upstream.open(self)
        client, chunks = self._client, received.chunks or []
        stream.source = client if not received.acknowledged else _Resent(client, received.acknowledged)
        client.source = stream
        upstream.send(stream, frames.HEADERS, block, received.complete and not chunks)
        for number, chunk in enumerate(chunks, 1):
            upstream.send(stream, frames.DATA, chunk, received.complete and number == len(chunks))
        received.forwarded()

    def cancel(self, status: RpcStatus) -> None:
        """Reset the stream: the call ends with ``status``, whatever the target would respond."""
        self.stream.connection.reset_stream(self.stream, frames.CANCEL)
        self._end(status)

    def finish(self) -> None:
        """Send the trailers that were kept."""
        assert self.trailers is not None
        assert self.trailers.status is not None
        status = self.trailers.status
        self._client.connection.send(self._client, frames.HEADERS, self._block, True)
        self._call.response_forwarded(status)
        self._close(status)

    # -- StreamHandler

    def headers(self, response: RpcResponse, end: bool) -> None:
        if (fault := response.faults[self._responding, end]) is not None:
            self._fail(*fault)
            return
        call, client = self._call, self._client
        shown = response.without(call.hidden) if call.hidden else response
        block = shown.block
        if not self._responding:
            self._responding = True
            call.response_started()
            # Clients expect metadata in headers, which a trailers-only response has not.
            if call.response_metadata and end and not is_retried(response.fields):
                opening = literals([*RESPONSE_HEADERS, *call.response_metadata])
                client.connection.send(client, frames.HEADERS, opening, False)
                block = shown.trailers()
            elif call.response_metadata:
                block = shown.with_metadata(call.response_metadata)
        if not end:
            client.connection.send(client, frames.HEADERS, block, False)
            return
        assert response.status is not None
        self._block, self.trailers = block, response
        if call.before_end is None:
            self.finish()
        else:
            self._end(response.status)

    def data(self, stream: Stream, chunk: bytes, end: bool) -> None:
        client = self._client
        if self._responding:
            self._call.response_frames += 1
            self._call.response_bytes += len(chunk)
            if self._call.on_data is not None:
                self._call.on_data(chunk)
            client.connection.send(client, frames.DATA, chunk, False)
        if end or not self._responding:
            self._fail(RpcStatus.INTERNAL, NO_STATUS)

    def reset(self, stream: Stream, code: int) -> None:
        """The stream ended without trailers, or after those that are kept."""
        if self.trailers is not None:
            return
        if self._responding:
            self._fail(RpcStatus.UNAVAILABLE, "the connection to the server was lost during its response; try again")
            return
        self._call.attempt_failed()
        upstream = stream.connection
        assert isinstance(upstream, UpstreamConnection)
        self._end(upstream.unavailable(code))

    def _fail(self, status: RpcStatus, message: str) -> None:
        self._call.attempt_failed()
        self._call.fail(status, message)
        self._close(status)

    def _close(self, status: RpcStatus) -> None:
        stream = self.stream
        if not (stream.local_closed and stream.remote_closed):
            stream.connection.reset_stream(stream, frames.NO_ERROR)
        self._end(status)


class _Resent:
    """The source of a second attempt: the first ``size`` bytes were acknowledged to the client by the first."""

    def __init__(self, client: Stream, size: int) -> None:
        self._client = client
        self._size = size

    def sent(self, size: int) -> None:
        acknowledged = min(size, self._size)
        self._size -= acknowledged
        if size > acknowledged:
            self._client.sent(size - acknowledged)
