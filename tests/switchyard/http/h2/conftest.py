"""A proxy between gRPC's own client and servers: calls of /engine/* go straight on, all others to the service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from switchyard.http.h2.fields import literals
from switchyard.http.h2.grpc_call import PREFIX, FastCall, FastHandler, GrpcCall, RpcHandler, RpcRequest
from switchyard.http.server import Exchange, Server, ServerLimits
from switchyard.rpc.status import RpcStatus

HOST = "127.0.0.1"
MESSAGE_LIMIT = 64 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


class Answering(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers by what the method is called, or by the metadata key ``what``; keeps what it saw."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.times: list[float] = []

    def service(self, details: Any) -> Any:
        metadata = dict(details.invocation_metadata)
        self.seen.append((details.method, metadata))
        what = metadata.get("what", details.method.rpartition("/")[2])
        if what == "Count":
            return grpc.stream_stream_rpc_method_handler(self._count)
        return grpc.unary_unary_rpc_method_handler(getattr(self, f"_{what.lower()}"))

    async def _echo(self, request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata((("served-by", self.name.decode()),))
        context.set_trailing_metadata((("cost", "1"),))
        return request

    async def _left(self, request: bytes, context: Any) -> bytes:
        remaining = context.time_remaining()
        self.times.append(float("inf") if remaining is None else remaining)
        return b""

    async def _who(self, request: bytes, context: Any) -> bytes:
        return self.name

    _modelinfer = _who

    async def _fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100 % sure", (("why", "asked"),))
        raise AssertionError

    async def _reject(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "unexpected inference input 'y'")
        raise AssertionError

    async def _full(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
        raise AssertionError

    async def _hang(self, request: bytes, context: Any) -> bytes:
        self.entered.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return b"after all"

    async def _count(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield b"%d" % len(request)


@dataclass(kw_only=True)
class Entered:
    """A call that went straight on."""

    target: str
    metadata: bytes
    traceparent: bytes | None
    guard: Callable[[bytes], None] | None = None
    statuses: list[RpcStatus | None] = field(default_factory=list)

    def explained(self, status: RpcStatus, message: str) -> str:
        return message

    def trailers(self, status: RpcStatus, message: str) -> bytes:
        return b""

    def ended(self, status: RpcStatus, message: str = "") -> None:
        self.statuses.append(status)


class Routing(FastHandler):
    """Sends calls of the engine's paths straight on, and to the service those whose first message says so."""

    paths = frozenset(f"/engine/{what}" for what in ("Echo", "Who", "Fail", "Hang", "Count"))

    def __init__(self, engine: str, service: str) -> None:
        self._engine = engine
        self._service = service
        self.calls: list[Entered] = []

    def admit(self, call: RpcRequest, beginning: bytes) -> FastCall | None:
        return self._enter(call) if not beginning[PREFIX:].startswith(b"to the service") else None

    async def __call__(self, call: GrpcCall) -> None:
        await call.forward(self._service, call.metadata)

    def _enter(self, call: GrpcCall | RpcRequest) -> Entered:
        fields = [field for field in call.metadata if field[0] != b"authorization"]
        trace = dict(fields).get(b"traceparent")
        self.calls.append(Entered(target=self._engine, metadata=literals(fields), traceparent=trace))
        return self.calls[-1]


class ByTask(Routing):
    """The same as a handler that has no fast path."""

    paths = frozenset()

    async def __call__(self, call: GrpcCall) -> None:
        engines = call.path in Routing.paths
        if not engines or (await call.first_message(MESSAGE_LIMIT, peek=100)).startswith(b"to the service"):
            await call.forward(self._service, call.metadata)
            return
        entered = self._enter(call)
        fields = [field for field in call.metadata if field[0] != b"authorization"]
        try:
            await call.forward(self._engine, fields)
        finally:
            entered.ended(RpcStatus.UNAVAILABLE if call.status is None else call.status)


@dataclass(kw_only=True)
class World:
    proxy: Server
    port: int
    engine: Answering
    service: Answering
    handler: Routing
    stop_engine: Callable[[], Awaitable[None]]

    @property
    def calls(self) -> list[Entered]:
        return self.handler.calls


def listen(server: Answering) -> tuple[Any, int]:
    rpc = grpc.aio.server(options=OPTIONS)
    rpc.add_generic_rpc_handlers((server,))
    return rpc, rpc.add_insecure_port(f"{HOST}:0")


async def serve(rpc: RpcHandler, limits: ServerLimits | None = None) -> tuple[Server, int]:
    """A server for gRPC alone, and its port."""

    async def not_grpc(exchange: Exchange) -> None:
        exchange.respond(415, [], b"")

    server = Server(not_grpc, limits, rpc=rpc)
    return server, await server.listen(HOST, 0)


async def stop(server: Server, grace_seconds: float) -> None:
    """Lets calls end within the grace, as processes do."""
    with suppress(TimeoutError):
        async with asyncio.timeout(grace_seconds):
            await server.drain()
    await server.aclose()


@asynccontextmanager
async def world(way: type[Routing] = Routing) -> AsyncIterator[World]:
    engine, service = Answering("engine"), Answering("service")
    servers, ports = zip(*map(listen, (engine, service)), strict=True)
    running = list(servers)  # emptied at the end: gRPC's server must not be collected when its loop is closed
    del servers
    await asyncio.gather(*(server.start() for server in running))
    handler = way(*(f"{HOST}:{port}" for port in ports))
    proxy, port = await serve(handler)

    async def stop_engine() -> None:
        await running[0].stop(0)

    try:
        yield World(
            proxy=proxy,
            port=port,
            engine=engine,
            service=service,
            handler=handler,
            stop_engine=stop_engine,
        )
    finally:
        engine.go_on.set()
        await stop(proxy, 1)
        await asyncio.gather(*(server.stop(0) for server in running))
        running.clear()


@asynccontextmanager
async def channel(at: World) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"{HOST}:{at.port}", options=OPTIONS) as opened:
        yield opened
