"""The health service on a real port, asked by gRPC's own client with messages of its own schema."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from switchyard.http.h2.grpc_call import GrpcCall
from switchyard.http.server import Exchange, Server
from switchyard.rpc import health
from switchyard.rpc.protobuf import write

HOST = "127.0.0.1"
DEADLINE = 20


class Serving:
    """A process that serves, until it does not."""

    def __init__(self) -> None:
        self.now = True

    def __call__(self) -> bool:
        return self.now


@asynccontextmanager
async def world(serving: Serving) -> AsyncIterator[Any]:
    async def http(exchange: Exchange) -> None:
        exchange.respond(404, [], b"")

    async def others(call: GrpcCall) -> None:
        call.respond(b"another service")

    server = Server(http, rpc=health.with_health(health.Health(serving), others))
    port = await server.listen(HOST, 0)
    try:
        async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
            yield channel
    finally:
        async with asyncio.timeout(DEADLINE):
            await server.drain()


async def check(channel: Any, request: bytes) -> bytes:
    response: bytes = await channel.unary_unary(health.CHECK)(request, timeout=DEADLINE)
    return response


async def test_a_check_says_whether_the_server_serves() -> None:
    serving = Serving()
    async with world(serving) as channel:
        for name in ("", "inference.GRPCInferenceService", "grpc.health.v1.Health"):
            assert await check(channel, write(1, name)) == b"\x08\x01"  # status: SERVING
        serving.now = False
        assert await check(channel, b"") == b"\x08\x02"  # status: NOT_SERVING


async def test_a_check_of_an_unknown_service_is_not_found() -> None:
    async with world(Serving()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(channel, write(1, "elsewhere"))
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        assert "'elsewhere'" in (caught.value.details() or "")


async def test_a_request_that_is_no_message_is_rejected() -> None:
    async with world(Serving()) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(channel, b"\xff\xff")
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_watcher_hears_of_the_end_and_does_not_hold_up_a_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_CHECK_SECONDS", 0.01)
    serving = Serving()
    async with world(serving) as channel:
        watch = channel.unary_stream(health.WATCH)(b"", timeout=DEADLINE)
        assert await watch.read() == b"\x08\x01"
        serving.now = False
        assert await watch.read() == b"\x08\x02"
        assert await watch.read() is grpc.aio.EOF


async def test_a_watcher_of_an_unknown_service_is_told_so() -> None:
    async with world(Serving()) as channel:
        watch = channel.unary_stream(health.WATCH)(write(1, "elsewhere"), timeout=DEADLINE)
        assert await watch.read() == b"\x08\x03"  # status: SERVICE_UNKNOWN


async def test_all_other_calls_are_the_other_handlers() -> None:
    async with world(Serving()) as channel:
        assert await channel.unary_unary("/any/Method")(b"", timeout=DEADLINE) == b"another service"
