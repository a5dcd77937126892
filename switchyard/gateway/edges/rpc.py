"""V2 gRPC: creates a ``Call`` from a gRPC call, and responds on it; frames are forwarded without decoding messages."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from switchyard.gateway.call import Call, request_id
from switchyard.gateway.routes.table import Route
from switchyard.http.api_errors import ApiError
from switchyard.http.client.errors import ConnectError, ConnectionClosedError
from switchyard.http.client.response import Sink
from switchyard.http.h2.grpc_call import GrpcCall, RpcResponse, UpstreamUnavailableError
from switchyard.http.headers import OF_USAGE, Header
from switchyard.rpc import status as statuses
from switchyard.rpc.protobuf import MessagesGuard, TextGuard
from switchyard.rpc.status import RpcError

_KEY = b"idempotency-key"
_PEEKED = 4096  # bytes of a first message; the model's name is in them, as every client writes it first


class RpcEdge:
    """The response of a gRPC call, whole or forwarded; its initial metadata holds the request's id."""

    __slots__ = ("_call", "_recorded", "_whole", "message_at")

    def __init__(self, call: GrpcCall) -> None:
        self._call = call
        self.message_at = 0.0  # when the first message came, in the event loop's time
        self._whole = False  # the message is no longer than what was read of it
        self._recorded: Callable[[bytes], None] | None = None

    @property
    def caller(self) -> str:
        return self._call.client[0] if self._call.client is not None else ""

    @property
    def started(self) -> bool:
        return self._call.status is not None

    @property
    def code(self) -> int | str:
        return 0 if self._call.status is None else self._call.status.name

    @property
    def cancelled(self) -> int | str:
        return self.code  # the caller's own CANCELLED, or DEADLINE_EXCEEDED

    def held_for(self, owner: str) -> None:
        self._call.held_for(owner)

    async def body(self, limit: int) -> bytes:
        try:
            # What a key stands for is the whole message.
            keyed = _KEY in self._call.fields
            message = await self._call.first_message(limit, peek=None if keyed else _PEEKED)
        except RpcError as err:
            raise ApiError(*statuses.api_code(err)) from err
        self.message_at = asyncio.get_running_loop().time()
        # At exactly ``_PEEKED`` bytes there may be more; being wrong about that costs one look of the guard.
        self._whole = keyed or len(message) < _PEEKED
        return message

    def hold_to(self, field: int, value: str) -> None:
        """Let the rest of the message have no other value in this field of text: a model would take the last.

        Raises:
            ApiError: what has come of it has another.
        """
        if self._whole:
            return
        try:
            self._call.guard(TextGuard(field, value).feed)
        except RpcError as err:
            raise ApiError(*statuses.api_code(err)) from err

    def hold_messages_to(self, field: int, value: str) -> None:
        """Let every message of a stream have this value in a field of text, as the first has it.

        Raises:
            ApiError: what has come so far has another, or is compressed and so cannot be looked into.
        """
        try:
            self._call.guard(MessagesGuard(field, value).feed, compressed=False)
        except RpcError as err:
            raise ApiError(*statuses.api_code(err)) from err

    def check_messages(self, check: Callable[[], Awaitable[None]]) -> None:
        """Let ``forward`` await ``check()`` before each message of a stream after the first.

        An ``ApiError`` that it raises ends the stream after the responses to the messages before.
        """
        self._call.check_messages(check)

    def before_end(self, ended: Callable[[RpcResponse], Awaitable[None]]) -> None:
        """Let ``forward`` await ``ended(trailers)`` before it sends the target's trailers."""
        self._call.before_end = ended

    def watch(self, on_data: Callable[[bytes], None]) -> None:
        """Let ``forward`` show ``on_data`` what it sends of the target's messages."""
        recorded = self._recorded
        if recorded is None:
            self._call.on_data = on_data
            return

        def both(data: bytes) -> None:
            recorded(data)
            on_data(data)

        self._call.on_data = both

    def record(self, on_data: Callable[[bytes], None]) -> None:
        """Let ``on_data`` see the same, whoever else is to."""
        self._recorded = on_data

    @property
    def forwarded(self) -> tuple[int, int]:
        """How many frames and bytes of the target's messages were sent to the caller."""
        return self._call.response_frames, self._call.response_bytes

    def add_headers(self, headers: Sequence[Header]) -> None:
        """Add initial metadata to the response, whatever it will be; an error has it too."""
        self._call.response_metadata = (*self._call.response_metadata, *headers)

    async def forward(self, target: str, metadata: Sequence[Header]) -> None:
        """Forward the call to ``target`` (host:port) until it is over.

        Raises:
            ConnectError: the target did not get the call; it may be forwarded again.
            ConnectionClosedError: the target got it and was lost before a response; it may be forwarded again, once.
            ApiError: the target was lost, and the call cannot be sent a second time.
        """
        try:
            await self._call.forward(target, metadata)
        except UpstreamUnavailableError as err:
            raise ConnectionClosedError(str(err), retryable=True) if err.lost else ConnectError(str(err)) from err
        except RpcError as err:
            raise ApiError(*statuses.api_code(err)) from err

    def respond(self, status: int, headers: list[Header], body: bytes) -> None:
        self._call.respond(body)

    def fail(self, error: ApiError) -> None:
        failure = statuses.rpc_error(error)
        self._call.fail(failure.status, failure.message, failure.metadata)

    # For HTTP responses only: a gRPC call is forwarded, or gets a whole response.

    def release(self) -> None:
        raise NotImplementedError

    def start(self, status: int, headers: list[Header]) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    async def drain(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError

    @property
    def sink(self) -> Sink:
        raise NotImplementedError


def rpc_call(call: GrpcCall, route: Route, started: float) -> Call:
    """Create the call that a gRPC call makes to ``route``; ``started`` is the loop's time at its arrival."""
    fields = call.fields
    identifier = request_id(fields.get(b"x-request-id"))
    call.hidden = OF_USAGE
    call.response_metadata = ((b"x-request-id", identifier),)
    return Call(
        RpcEdge(call),
        route,
        {},
        method=b"POST",
        path=call.path.encode("latin-1"),
        query=b"",
        headers=list(call.metadata),
        fields=fields,
        request_id=identifier,
        started=started,
        deadline=call.deadline,
    )
