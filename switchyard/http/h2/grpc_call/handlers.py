"""What decides over calls: a handler with a task for each, or one that admits some of them at once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from switchyard.http.body_memory import BodyMemory
from switchyard.http.h2.grpc_call.headers import RpcRequest
from switchyard.http.h2.grpc_call.messages import RetryMemory
from switchyard.http.h2.grpc_call.upstream import Upstreams
from switchyard.rpc.status import RpcStatus

if TYPE_CHECKING:
    from switchyard.http.h2.grpc_call.call import GrpcCall

RpcHandler = Callable[["GrpcCall"], Awaitable[None]]
Start = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class FastCall(Protocol):
    """A call that a ``FastHandler`` admitted: its target and metadata; ``ended`` is called with its status and message.

    ``metadata`` is encoded by ``fields.literals``. ``guard``, if there is one, sees what the client sends before it is
    forwarded; a ``ValueError`` that it raises ends the call. ``trailers`` returns encoded
    fields that are added to the target's.
    """

    target: str
    metadata: bytes
    guard: Callable[[bytes], None] | None

    def explained(self, status: RpcStatus, message: str) -> str:
        """Return what the client is told of an error of the target."""
        ...

    def trailers(self, status: RpcStatus, message: str) -> bytes: ...

    def ended(self, status: RpcStatus, message: str) -> None: ...


class FastHandler:
    """A handler that admits calls of some ``paths`` at once, without a task; all others go to ``__call__``."""

    paths: frozenset[str] = frozenset()
    peek = 4096  # bytes of the first message that ``admit`` sees, at most

    def admit(self, request: RpcRequest, beginning: bytes) -> FastCall | None:
        """Admit a call by the beginning of its first message (with its prefix), or leave it to ``__call__`` (None)."""
        raise NotImplementedError

    async def __call__(self, call: "GrpcCall") -> None:
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True, slots=True)
class CallContext:
    """What the calls of one client's connection share.

    ``start`` starts a handler's task. A first message must be complete ``read_seconds`` after its first byte;
    ``body_memory`` counts those that are read whole.
    """

    handler: RpcHandler
    start: Start
    read_seconds: float | None
    body_memory: BodyMemory
    upstreams: Upstreams = field(default_factory=Upstreams)
    retry_memory: RetryMemory = field(default_factory=RetryMemory)
