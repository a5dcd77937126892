"""uvicorn's server with one port for HTTP/1.1 and HTTP/2, as a predictor starts it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
import uvicorn

from predictors.serving.one_port import Protocols
from switchyard.http.asgi import Receive, Scope, Send
from switchyard.http.h2 import frames
from switchyard.http.h2.grpc_call import passing
from tests.switchyard.http.h2.raw import Talk

HOST = "127.0.0.1"
DEADLINE = 20
WAITS = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/waits")]


@dataclass
class World:
    port: int
    server: uvicorn.Server
    serving: "asyncio.Future[None]"
    entered: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def client(self, *, http2: bool) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://{HOST}:{self.port}", http1=not http2, http2=http2, trust_env=False, timeout=DEADLINE
        )


@asynccontextmanager
async def world(grace_seconds: int = DEADLINE) -> AsyncIterator[World]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/waits":
            at.entered += 1
            await at.go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["http_version"].encode()})

    listening = socket.create_server((HOST, 0))
    config = uvicorn.Config(
        cast(Any, app),
        log_config=None,
        lifespan="off",
        http=cast(Any, Protocols(passing(f"{HOST}:1"))),
        timeout_graceful_shutdown=grace_seconds,
    )
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    at = World(listening.getsockname()[1], server, serving)
    try:
        yield at
    finally:
        at.go_on.set()
        server.should_exit = True
        async with asyncio.timeout(DEADLINE):
            await serving


async def test_both_protocols_are_answered_on_the_same_port() -> None:
    async with world() as at, at.client(http2=False) as old, at.client(http2=True) as new:
        for _ in range(3):
            assert (await old.get("/")).content == b"1.1"
            answer = await new.get("/")
            assert (answer.content, answer.headers["server"]) == (b"2", "uvicorn")
            assert "date" in answer.headers


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", frames.PREFACE])
async def test_a_greeting_that_comes_byte_by_byte_is_understood(greeting: bytes) -> None:
    async with world() as at, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(HOST, at.port)
        for byte in greeting:
            writer.write(bytes((byte,)))
            await writer.drain()
        answer = await reader.read(9)
        # HTTP/2 begins with SETTINGS.
        assert answer.startswith(b"HTTP/1.1 ") if greeting[:3] == b"GET" else answer[3] == 4
        writer.close()
        await writer.wait_closed()


async def test_a_server_that_ends_answers_what_it_has_begun() -> None:
    async with world() as at, at.client(http2=False) as old, asyncio.timeout(DEADLINE):
        new = await Talk.to(at.port, WAITS)
        asked = asyncio.ensure_future(old.get("/waits"))
        while at.entered < 2:
            await asyncio.sleep(0)
        at.server.should_exit = True
        await new.hears(frames.GOAWAY, stream=0)
        at.go_on.set()
        assert await new.hears(frames.DATA) == b"2"
        assert (await asked).content == b"1.1"
        await at.serving
        await new.hangs_up()


async def test_a_connection_that_says_nothing_does_not_hold_up_the_end() -> None:
    async with world() as at, asyncio.timeout(DEADLINE):
        reader, writer = await asyncio.open_connection(HOST, at.port)
        async with at.client(http2=True) as client:
            await client.get("/")
        at.server.should_exit = True
        await at.serving
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_what_is_still_running_at_the_end_of_the_grace_is_cut() -> None:
    async with world(grace_seconds=1) as at, at.client(http2=True) as client, asyncio.timeout(DEADLINE):
        asked = asyncio.ensure_future(client.get("/waits"))
        while not at.entered:
            await asyncio.sleep(0)
        at.server.should_exit = True
        await at.serving
        await asyncio.gather(asked, return_exceptions=True)
