"""WebSockets over TLS: the same frames, codes and back-pressure."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets

from switchyard.http.server import ServerLimits
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.connection import WebSocket
from switchyard.http.tls import TlsFiles, WatchedTls
from tests.switchyard.http.certificates import Authority
from tests.switchyard.http.server.websocket.sockets import SocketServer, serving_sockets


class Bench:
    """A server with TLS, and clients that trust it."""

    def __init__(self, running: SocketServer, context: ssl.SSLContext) -> None:
        self.running = running
        self.context = context

    def connect(self) -> websockets.connect:
        return websockets.connect(f"wss://localhost:{self.running.port}/socket", ssl=self.context, max_queue=1)


async def floods_or_echoes(socket: WebSocket) -> None:
    while True:
        message = await socket.receive()
        if message == b"flood":
            for _ in range(200):
                socket.send(b"a" * 100_000)
                await socket.writable()
        socket.send(message)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    authority = Authority("ours", tmp_path)
    issued = authority.issue("server")
    tls = WatchedTls(TlsFiles(issued.certificate, issued.key, None), lambda valid, expires: None)
    async with serving_sockets(floods_or_echoes, ServerLimits(message_bytes=200_000), tls) as running:
        yield Bench(running, ssl.create_default_context(cafile=str(authority.path)))


async def test_messages_pass_and_a_slow_client_gets_them_all(bench: Bench) -> None:
    async with bench.connect() as client:
        await client.send("é" * 50_000)
        assert await client.recv() == "é" * 50_000
        await client.send("flood")
        await asyncio.sleep(0.1)
        for _ in range(200):
            assert len(await client.recv()) == 100_000
        assert await client.recv() == "flood"


async def test_what_closes_a_socket_is_seen_with_its_code(bench: Bench) -> None:
    async with bench.connect() as client:
        await client.send("a" * 200_001)
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert client.close_code == codes.MESSAGE_TOO_BIG
    async with bench.connect() as client:
        draining = asyncio.create_task(bench.running.server.drain())
        with pytest.raises(websockets.ConnectionClosed):
            await client.recv()
        assert client.close_code == codes.GOING_AWAY
        await asyncio.wait_for(draining, 5)
