"""One attempt to have a gRPC call responded to by another server."""

from collections.abc import Callable, Sequence
from typing import Protocol

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.grpc_call.headers import OPENING, RpcResponse
from switchyard.http.h2.grpc_call.messages import Received
from switchyard.http.h2.grpc_call.upstream import UpstreamConnection, UpstreamUnavailable
from switchyard.http.h2.stream import Stream
from switchyard.rpc import status as statuses
from switchyard.rpc.status import RpcStatus


class Caller(Protocol):
    """The call that is forwarded."""

    response_metadata: Sequence[Field]

    def response_begins(self) -> None: ...
    def forwarded(self, status: RpcStatus) -> None: ...
    def lost(self) -> None: ...
    def fail(self, status: RpcStatus, message: str) -> None: ...


class Forwarding:
    """The stream to the target: what comes back on it goes to the ``client`` as frames; ``end`` hears of its end."""

    __slots__ = ("_call", "_client", "_end", "_responding", "stream")

    def __init__(self, call: Caller, client: Stream, end: Callable[[RpcStatus | UpstreamUnavailable], None]) -> None:
        self._call = call
        self._client = client
        self._end = end
        self._responding = False

    def begin(self, upstream: UpstreamConnection, block: bytes, received: Received) -> None:
        """Opens the stream and sends what the client has sent so far."""
        stream = self.stream = upstream.open(self)
        client, chunks = self._client, received.chunks or []
        stream.source = client if not received.acknowledged else _Resent(client, received.acknowledged)
        client.source = stream
        upstream.send(stream, frames.HEADERS, block, received.complete and not chunks)
        for number, chunk in enumerate(chunks, 1):
            upstream.send(stream, frames.DATA, chunk, received.complete and number == len(chunks))
        received.sent()

    def cancel(self, status: RpcStatus) -> None:
        """The call ends with ``status``, whatever the target would have responded."""
        self.stream.connection.cut(self.stream, frames.CANCEL)
        self._end(status)

    # -- what the stream tells

    def headers(self, response: RpcResponse, end: bool) -> None:
        call, client = self._call, self._client
        block = response.block
        if response.malformed or bool(response.http) is self._responding:  # trailers have no status, headers do
            self._fail(RpcStatus.INTERNAL, "the server's response is no gRPC: its header fields are not well-formed")
            return
        if not self._responding:
            if response.status is None and response.http != b"200":
                self._fail(*_of_http(response.http))
                return
            self._responding = True
            call.response_begins()
            if call.response_metadata and end:  # trailers alone: clients look for metadata before them
                opening = literals([*OPENING, *call.response_metadata])
                client.connection.send(client, frames.HEADERS, opening, False)
                block = response.trailers()
            elif call.response_metadata:
                block = response.with_metadata(call.response_metadata)
        client.connection.send(client, frames.HEADERS, block, end)
        if end:
            status = RpcStatus.UNKNOWN if response.status is None else response.status
            call.forwarded(status)
            self._close(status)

    def data(self, stream: Stream, chunk: bytes, end: bool) -> None:
        client = self._client
        if self._responding:
            client.connection.send(client, frames.DATA, chunk, False)
        if end or not self._responding:
            self._fail(RpcStatus.INTERNAL, "the server's response is no gRPC: it has no status, or no headers")

    def reset(self, stream: Stream, code: int) -> None:
        """The stream ended without trailers."""
        if self._responding:
            self._fail(RpcStatus.UNAVAILABLE, "the connection to the server was lost within its response; try again")
            return
        self._call.lost()
        upstream = stream.connection
        assert isinstance(upstream, UpstreamConnection)
        self._end(upstream.unavailable(code))

    def _fail(self, status: RpcStatus, message: str) -> None:
        self._call.lost()
        self._call.fail(status, message)
        self._close(status)

    def _close(self, status: RpcStatus) -> None:
        stream = self.stream
        if not (stream.finished and stream.heard_all):
            stream.connection.cut(stream, frames.NO_ERROR)
        self._end(status)


class _Resent:
    """Where data of a second attempt comes from: for the first ``size`` bytes the client's window is open again."""

    def __init__(self, client: Stream, size: int) -> None:
        self._client = client
        self._size = size

    def left(self, size: int) -> None:
        again = min(size, self._size)
        self._size -= again
        if size > again:
            self._client.left(size - again)


def _of_http(said: bytes) -> tuple[RpcStatus, str]:
    number = int(said) if said.isdigit() else 0
    return statuses.of_http_response(number), f"what stands before the server responded with HTTP status {number}"
