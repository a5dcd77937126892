"""A proxy between gRPC's own client and servers: calls of /engine/* go straight on, all others to the service."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

from switchyard.http.h2.grpc_call import PREFIX, Request
from switchyard.http.h2.grpc_proxy import Proxy

HOST = "127.0.0.1"
MESSAGE_LIMIT = 64 * 1024 * 1024
OPTIONS = [
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
]


class Server(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers by what the method is called; keeps what it saw."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self.cancelled = asyncio.Event()
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()

    def service(self, details: Any) -> Any:
        self.seen.append((details.method, dict(details.invocation_metadata)))
        what = details.method.rpartition("/")[2]
        if what == "Count":
            return grpc.stream_stream_rpc_method_handler(self._count)
        return grpc.unary_unary_rpc_method_handler(getattr(self, f"_{what.lower()}"))

    async def _echo(self, request: bytes, context: Any) -> bytes:
        await context.send_initial_metadata((("served-by", self.name.decode()),))
        context.set_trailing_metadata((("cost", "1"),))
        return request

    async def _who(self, request: bytes, context: Any) -> bytes:
        return self.name

    async def _fail(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: 100 % sure", (("why", "asked"),))
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

    traceparent: str | None
    statuses: list[int | None] = field(default_factory=list)

    def ended(self, status: int | None) -> None:
        self.statuses.append(status)


@dataclass(kw_only=True)
class World:
    proxy: Proxy
    port: int
    engine: Server
    service: Server
    calls: list[Entered]
    stop_engine: Callable[[], Awaitable[None]]


def _listen(server: Server) -> tuple[Any, int]:
    rpc = grpc.aio.server(options=OPTIONS)
    rpc.add_generic_rpc_handlers((server,))
    return rpc, rpc.add_insecure_port(f"{HOST}:0")


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    engine, service = Server("engine"), Server("service")
    calls: list[Entered] = []

    def enter(request: Request, held: bytes) -> Entered | None:
        if held[PREFIX:].startswith(b"to the service"):
            return None
        calls.append(Entered(traceparent=request.traceparent))
        return calls[-1]

    engine_rpc, engine_port = _listen(engine)
    service_rpc, service_port = _listen(service)
    await asyncio.gather(engine_rpc.start(), service_rpc.start())
    proxy = Proxy(
        peeked=frozenset(f"/engine/{what}" for what in ("Echo", "Who", "Fail", "Hang", "Count")),
        enter=enter,
        forwarded=lambda name: name != b"authorization",
        engine=(HOST, engine_port),
    )
    await proxy.start(HOST, 0, (HOST, service_port))

    async def stop_engine() -> None:
        await engine_rpc.stop(0)

    try:
        yield World(proxy=proxy, port=proxy.port, engine=engine, service=service, calls=calls, stop_engine=stop_engine)
    finally:
        engine.go_on.set()
        await proxy.stop(1)
        await asyncio.gather(engine_rpc.stop(0), service_rpc.stop(0))


@asynccontextmanager
async def channel(at: World) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"{HOST}:{at.port}", options=OPTIONS) as opened:
        yield opened
