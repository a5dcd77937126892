"""Both stores, real: a file of this test's own, and a Redis server that is started for it."""

import asyncio
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from switchyard.store.contract import Store
from switchyard.store.factory import open_ledger, open_store
from switchyard.store.ledger import Ledger

DEADLINE = 20.0


class RedisServer:
    """A Redis on a socket file, which keeps nothing but what ``snapshot`` is asked for."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._start()

    def _start(self) -> None:
        program = shutil.which("redis-server")
        assert program, "redis-server is not on PATH: `make setup` installs it"
        command = [program, "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen([*command, "--dir", str(self.socket.parent)], stdout=subprocess.DEVNULL)

    async def snapshot(self) -> None:
        """Keep what it has now: ``restart`` begins with that."""
        async with Redis(unix_socket_path=str(self.socket)) as client:
            await client.save()

    async def restart(self) -> None:
        """Start it again after ``stop``, empty or with the snapshot."""
        self.socket.unlink()
        self._start()
        await self.wait_ready()

    def _accepts(self) -> bool:
        """Whether it listens: its socket file is there a moment before."""
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    async def wait_ready(self) -> None:
        end = time.monotonic() + DEADLINE
        while not self._accepts():
            assert self.process.poll() is None, "redis-server ended at once"
            assert time.monotonic() < end, "redis-server did not start"
            await asyncio.sleep(0.01)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
async def redis_server(tmp_path: Path) -> AsyncIterator[RedisServer]:
    server = RedisServer(tmp_path)
    try:
        await server.wait_ready()
        yield server
    finally:
        server.stop()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite://{tmp_path}/store/file.db"


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = open_store(url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = open_ledger(url)
    yield opened
    await opened.aclose()
