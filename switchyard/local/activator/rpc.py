"""The V2 gRPC door of all services on one port: the model's name in a message tells whose call it is."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from switchyard.http.api_errors import ApiError
from switchyard.local.activator.application import ATTEMPTS, Door
from switchyard.local.plan import arguments
from switchyard.local.plan.workloads import Address
from switchyard.rpc import v2
from switchyard.rpc.channels import Channels
from switchyard.rpc.forwarder import Forwarder, Passage
from switchyard.rpc.forwarder import Refused as RpcRefused
from switchyard.rpc.metadata import Metadata

_STATUS = {503: grpc.StatusCode.UNAVAILABLE, 504: grpc.StatusCode.DEADLINE_EXCEEDED}
_OF_THIS_HOP = frozenset(("user-agent", "te", "content-type"))
_MESSAGE_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class _Lease:
    """A stream's place at its replica."""

    door: Door | None = None


_lease: ContextVar[_Lease] = ContextVar("lease")


class Services(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Forwards single calls, again when their replica died unanswered, and streams, once."""

    def __init__(self, doors: Mapping[str, Door], channels: Channels) -> None:
        self._doors = doors
        self._channels = channels
        self._streams = Forwarder(self._resolve_stream, channels, _enter_stream)
        self._handlers = {
            f"/{v2.SERVICE}/{name}": grpc.unary_unary_rpc_method_handler(self._unary(name))
            for name in (*v2.UNARY, *v2.REPOSITORY)
        }

    def service(self, handler_call_details: Any) -> Any:
        return self._handlers.get(handler_call_details.method) or self._streams.service(handler_call_details)

    def _unary(self, name: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        path = f"/{v2.SERVICE}/{name}"

        async def handle(request: bytes, context: Any) -> bytes:
            try:
                door = self._door(v2.name_of(name, request))
                return await self._deliver(door, path, request, context)
            except ValueError as err:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request is not a V2 message: {err}")
            except ApiError as refused:
                await context.abort(_STATUS.get(refused.status, grpc.StatusCode.UNAVAILABLE), refused.message)
            except RpcRefused as refused:
                await context.abort(refused.code, str(refused))
            except grpc.aio.AioRpcError as err:
                await context.abort(err.code(), err.details() or "", tuple(err.trailing_metadata() or ()))
            raise AssertionError("abort raises")

        return handle

    async def _deliver(self, door: Door, path: str, request: bytes, context: Any) -> bytes:
        loop = asyncio.get_running_loop()
        due = loop.time() + door.timeout
        for attempt in range(ATTEMPTS):
            address = await door.queue.acquire(len(request), due, retry=attempt > 0)
            answered = False
            try:
                channel = await self._channels.get(_target(address))
                call = channel.unary_unary(path)(
                    request,
                    timeout=max(min(due - loop.time(), context.time_remaining() or door.timeout), 0.001),
                    metadata=tuple(passed_on(context.invocation_metadata() or ())),
                )
                answer: bytes = await call
                answered = True
            except grpc.aio.AioRpcError as err:
                # Unavailable without any metadata of the server's: the connection failed, nothing was answered.
                if err.code() != grpc.StatusCode.UNAVAILABLE or err.initial_metadata() or attempt + 1 == ATTEMPTS:
                    raise
                door.queue.suspect(address)
                continue
            finally:
                door.queue.release(responded=answered)
            await context.send_initial_metadata(tuple(await call.initial_metadata() or ()))
            context.set_trailing_metadata(tuple(await call.trailing_metadata() or ()))
            return answer
        raise AssertionError("the last attempt returns or raises")

    def _door(self, model: str) -> Door:
        if model not in self._doors:
            served = ", ".join(sorted(self._doors)) or "none"
            raise RpcRefused(grpc.StatusCode.NOT_FOUND, f"no model {model!r} is served over gRPC; there are: {served}")
        return self._doors[model]

    async def _resolve_stream(self, model: str) -> str:
        door = self._door(model)
        try:
            address = await door.queue.acquire(0, asyncio.get_running_loop().time() + door.timeout)
        except ApiError as refused:
            code = _STATUS.get(refused.status, grpc.StatusCode.UNAVAILABLE)
            raise RpcRefused(code, refused.message) from refused
        _lease.get().door = door
        return _target(address)


def _enter_stream(method: str, metadata: Metadata) -> Passage:
    lease = _Lease()
    _lease.set(lease)

    def done(model: str, code: grpc.StatusCode) -> None:
        if lease.door is not None:
            lease.door.queue.release(responded=code == grpc.StatusCode.OK)

    return Passage(upstream=passed_on(metadata), done=done)


def passed_on(metadata: Metadata) -> list[tuple[str, str | bytes]]:
    """``metadata`` without what belongs to this hop."""
    return [(key, value) for key, value in metadata if key not in _OF_THIS_HOP and not key.startswith(("grpc-", ":"))]


def _target(address: Address) -> str:
    return f"{arguments.LOOPBACK}:{address.grpc_port}"


class GrpcServer:
    """Listens on a loopback port of its own choice."""

    def __init__(self, doors: Mapping[str, Door]) -> None:
        self._channels = Channels(message_bytes=_MESSAGE_BYTES)
        self._server = grpc.aio.server(
            handlers=(Services(doors, self._channels),),
            options=[
                ("grpc.max_receive_message_length", _MESSAGE_BYTES),
                ("grpc.max_send_message_length", _MESSAGE_BYTES),
                ("grpc.so_reuseport", 0),
            ],
        )
        self.port: int = self._server.add_insecure_port(f"{arguments.LOOPBACK}:0")

    async def start(self) -> None:
        await self._server.start()

    async def stop(self, grace: float) -> None:
        """Finishes what is in flight within ``grace`` seconds."""
        await self._server.stop(grace)
        await self._channels.aclose()
