"""A server with a handler of the test's own, asked by gRPC's client and by raw frames; and servers to forward to."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.http.server import Server, ServerLimits
from tests.switchyard.http.h2.conftest import HOST, OPTIONS, Answering, listen, serve, stop

DEADLINE = 20
LARGE = 12_000_000


CALL = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":authority", b"x"),
    (b":path", b"/a/B"),
    (b"content-type", b"application/grpc"),
    (b"te", b"trailers"),
]


async def failure(asked: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await asked
    return caught.value


@dataclass
class World:
    server: Server
    port: int
    channel: Any

    async def ask(self, path: str, message: bytes = b"x", **options: Any) -> bytes:
        response: bytes = await self.channel.unary_unary(path)(message, **{"timeout": DEADLINE, **options})
        return response


@asynccontextmanager
async def world(handler: RpcHandler, limits: ServerLimits | None = None) -> AsyncIterator[World]:
    server, port = await serve(handler, limits)
    try:
        async with grpc.aio.insecure_channel(f"{HOST}:{port}", options=OPTIONS) as channel:
            yield World(server, port, channel)
    finally:
        await stop(server, 1)


@dataclass
class Target:
    """A gRPC server to forward to."""

    address: str
    answering: Answering
    stop: Callable[[], Awaitable[None]]


@asynccontextmanager
async def target(name: str = "target") -> AsyncIterator[Target]:
    answering = Answering(name)
    running, port = listen(answering)
    servers = [running]
    del running
    await servers[0].start()

    async def stop_it() -> None:
        await servers[0].stop(0)

    try:
        yield Target(f"{HOST}:{port}", answering, stop_it)
    finally:
        answering.go_on.set()
        await servers[0].stop(0)
        servers.clear()  # gRPC's server must not be collected when its loop is closed


async def happens(condition: Callable[[], bool]) -> None:
    """Returns when ``condition`` holds."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0)


Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(converse: Converse) -> AsyncIterator[str]:
    """A server that talks as ``converse`` says; its connections are closed at the end."""
    talks: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks[task] = writer
        with suppress(ConnectionError):
            await converse(reader, writer)
        writer.close()

    server = await asyncio.start_server(talk, HOST, 0)
    try:
        yield f"{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in talks.values():
            writer.close()
        await asyncio.gather(*talks, *(writer.wait_closed() for writer in talks.values()), return_exceptions=True)
