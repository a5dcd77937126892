"""Every implementation of recordings, on real stores and a clock that tests set."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from switchyard.store.recordings.contract import Recordings
from switchyard.store.recordings.redis import RedisRecordings
from switchyard.store.recordings.sealed import Keys, SealedRecordings
from switchyard.store.recordings.sqlite import SqliteRecordings
from tests.switchyard.store.conftest import RedisServer

BEGIN = 1_800_000_000.0
KEYS = Keys(7, {7: bytes(range(32)), 1: bytes(32)})


@dataclass
class Clock:
    """Seconds since 1970, as a test has them."""

    now: float = BEGIN

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "redis", "sealed-sqlite", "sealed-redis"])
def open_one(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Callable[[], Recordings]:
    """Open the recordings of one store, as each process does."""
    sealed, _, kind = request.param.rpartition("-")
    plain = (
        _of_redis(request.getfixturevalue("redis_server"), clock) if kind == "redis" else _of_sqlite(tmp_path, clock)
    )
    return (lambda: SealedRecordings(plain(), KEYS)) if sealed else plain


def _of_redis(server: RedisServer, clock: Clock) -> Callable[[], Recordings]:
    return lambda: RedisRecordings(server.url, seconds=10, clock=clock)


def _of_sqlite(folder: Path, clock: Clock) -> Callable[[], Recordings]:
    return lambda: SqliteRecordings(folder / "recordings.db", clock=clock)


@pytest.fixture
async def recordings(open_one: Callable[[], Recordings]) -> AsyncIterator[Recordings]:
    opened = open_one()
    yield opened
    await opened.aclose()
