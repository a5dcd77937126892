"""A raw server that answers with exact bytes, and both event loops."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvloop

from switchyard.http.client import Client, Limits

LoopFactories = Mapping[str, Callable[[], asyncio.AbstractEventLoop]]
Script = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """The server's side of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    requests: list[bytes] = field(default_factory=list)

    async def request(self) -> bytes:
        """The next request, head and body; empty when the client has closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return b""
        length = 0
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        data = head + await self.reader.readexactly(length)
        self.requests.append(data)
        return data

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, body: bytes = b"ok", status: int = 200) -> None:
        await self.send(b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))

    async def closed(self) -> None:
        """Returns when the client has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass


class Upstream:
    """Listens on a free port and runs ``script`` for every connection."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.peers: list[Peer] = []
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self.script(peer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def stop(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@asynccontextmanager
async def upstream(script: Script, **server: object) -> AsyncIterator[Upstream]:
    """A running ``Upstream``."""
    peer = Upstream(script)
    listener = await asyncio.start_server(peer.serve, "127.0.0.1", 0, **server)  # type: ignore[arg-type]
    port = listener.sockets[0].getsockname()[1]
    peer.url = f"{'https' if server.get('ssl') else 'http'}://127.0.0.1:{port}"
    try:
        yield peer
    finally:
        listener.close()
        await peer.stop()


@asynccontextmanager
async def client_of(limits: Limits | None = None) -> AsyncIterator[Client]:
    """A client that is closed in the end."""
    client = Client(limits)
    try:
        yield client
    finally:
        await client.aclose()


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> LoopFactories:
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with client_of() as one:
        yield one
