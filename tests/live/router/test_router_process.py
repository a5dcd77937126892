"""The router as a process under many streams: it drains without loss, stays small, and survives what dies behind it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
import pytest

from tests.live.processes import eventually, fetch
from tests.ports import free_port

pytestmark = pytest.mark.live

CHUNKS = 100
STREAM = json.dumps({"model": f"m10x{CHUNKS}", "stream": True}).encode()  # a chunk every 10 ms
ENDLESS = json.dumps({"model": "m100x100000", "stream": True}).encode()


def started(module: str, *arguments: str, **env: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, *arguments], env={**os.environ, **env})


class Pair:
    """A router and the upstream behind it, each a process."""

    def __init__(self) -> None:
        self.up, self.port = free_port(), free_port()
        self.upstream = started("benchmarks.upstream", str(self.up))
        step = {"name": "chat", "serviceUrl": f"http://127.0.0.1:{self.up}", "condition": "model"}
        graph = json.dumps({"nodes": {"root": {"routerType": "Switch", "steps": [step]}}})
        env = {"HOST": "127.0.0.1", "PORT": str(self.port), "METRICS_PORT": "0", "DRAIN_SECONDS": "0.3"}
        self.router = started("switchyard.router", "--graph-json", graph, **env)

    def ready(self) -> bool:
        try:
            urls = (f"http://127.0.0.1:{self.port}/readyz", f"http://127.0.0.1:{self.up}/stats")
            return all(fetch(url)[0] == 200 for url in urls)
        except OSError:
            return False

    def memory(self) -> float:
        """Megabytes of the router, shared pages divided among their users."""
        return float(psutil.Process(self.router.pid).memory_full_info().pss) / 2**20

    async def ask(self, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """An answer's body, its head read."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: %d\r\n\r\n" % len(body)
        writer.write(head + body)
        assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
        return reader, writer

    async def whole(self, opened: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> bytes:
        """The rest of an answer up to its last chunk."""
        try:
            return await opened[0].readuntil(b"\r\n0\r\n\r\n")
        finally:
            opened[1].close()


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    try:
        eventually(made.ready, "router and upstream")
        yield made
    finally:
        for process in (made.router, made.upstream):
            process.kill()
            process.wait()


async def test_sigterm_during_200_streams_loses_none(pair: Pair) -> None:
    async with asyncio.timeout(60):
        opened = await asyncio.gather(*(pair.ask(STREAM) for _ in range(200)))
        pair.router.send_signal(signal.SIGTERM)
        late = await pair.ask(STREAM)  # who has not heard of it yet is served
        answers = await asyncio.gather(*(pair.whole(one) for one in [*opened, late]))
    for answer in answers:
        assert answer.count(b'"content":"token"') == CHUNKS
        assert answer.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
    assert pair.router.wait(10) == 0


@asynccontextmanager
async def endless(pair: Pair, streams: int) -> AsyncIterator[None]:
    opened = await asyncio.gather(*(pair.ask(ENDLESS) for _ in range(streams)))

    async def read(reader: asyncio.StreamReader) -> None:
        while await reader.read(65536):
            pass

    reading = [asyncio.create_task(read(reader)) for reader, _ in opened]
    try:
        yield
        assert not any(task.done() for task in reading)
    finally:
        for task in reading:
            task.cancel()
        for _, writer in opened:
            writer.close()


async def test_500_open_streams_take_little_memory_and_no_more_as_they_go_on(pair: Pair) -> None:
    before = pair.memory()
    async with endless(pair, 500):
        await asyncio.sleep(2)
        early = pair.memory()
        await asyncio.sleep(4)
        late = pair.memory()
    assert early - before < 20
    assert late - early < 1


async def test_clients_that_leave_all_at_once_free_every_stream(pair: Pair) -> None:
    def left() -> int:
        return int(json.loads(fetch(f"http://127.0.0.1:{pair.up}/stats")[1])["left"])

    async with endless(pair, 200):
        pass
    await asyncio.to_thread(eventually, lambda: left() == 200, "the upstream to see all of them leave")


async def test_an_upstream_that_is_killed_cuts_its_streams_and_the_router_goes_on(pair: Pair) -> None:
    opened = await asyncio.gather(*(pair.ask(ENDLESS) for _ in range(50)))
    pair.upstream.kill()
    for one in opened:
        async with asyncio.timeout(5):
            with pytest.raises(asyncio.IncompleteReadError):
                await pair.whole(one)
    url = f"http://127.0.0.1:{pair.port}/v1/chat/completions"
    status, body = await asyncio.to_thread(fetch, url, {"model": "m"})
    assert status == 500
    assert b"step chat of node root: cannot connect" in body
    pair.upstream.wait()
    pair.upstream = started("benchmarks.upstream", str(pair.up))
    await asyncio.to_thread(eventually, pair.ready, "the upstream again")
    assert (await asyncio.to_thread(fetch, url, {"model": "m"}))[0] == 200
