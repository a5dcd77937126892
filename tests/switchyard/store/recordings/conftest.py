"""Every implementation of recordings, on real stores and a clock that tests set."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from switchyard.store.recordings.contract import Recordings
from switchyard.store.recordings.redis import RedisRecordings
from switchyard.store.recordings.sqlite import SqliteRecordings
from tests.switchyard.store.conftest import RedisServer

BEGIN = 1_800_000_000.0


@dataclass
class Clock:
    """Seconds since 1970, as a test has them."""

    now: float = BEGIN

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "redis"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Callable[[], Recordings]:
    """Open the recordings of one store, as each process does."""
    if request.param == "sqlite":
        return lambda: SqliteRecordings(tmp_path / "recordings.db", clock=clock)
    server: RedisServer = request.getfixturevalue("redis_server")
    return lambda: RedisRecordings(server.url, clock=clock)


@pytest.fixture
async def recordings(open_one: Callable[[], Recordings]) -> AsyncIterator[Recordings]:
    opened = open_one()
    yield opened
    await opened.aclose()
