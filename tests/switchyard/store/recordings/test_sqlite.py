import sqlite3
from pathlib import Path

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.factory import open_recordings, open_store
from switchyard.store.recordings.contract import Bounds
from switchyard.store.recordings.sqlite import SqliteRecordings
from switchyard.store.recordings.sqlite_rows import Rows
from switchyard.store.recordings.sqlite_schema import SCHEMA
from tests.switchyard.store.recordings.conftest import BEGIN, Clock

TABLES = ("recordings", "recording_names", "recording_segments")


async def record(recordings: SqliteRecordings, recording: str, *, ttl: float = 600, size: int = 10) -> None:
    await recordings.claim("tenant", f"key:{recording}", recording, b"", lease=10, ttl=ttl, aliases=[recording])
    await recordings.finish("tenant", recording, 0, bytes(size), complete=True, ttl=ttl, bounds=Bounds())


def sweep(path: Path, now: float, after: int = 0) -> int:
    """Sweep once, as if it were ``now``, and return how far it came."""
    connection = sqlite3.connect(path)
    with connection:
        last = Rows(connection, now).sweep(after)
    connection.close()
    return last


def rows(path: Path) -> list[int]:
    connection = sqlite3.connect(path)
    counted = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES]
    connection.close()
    return counted


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def test_a_sweep_forgets_what_is_over_and_nothing_else(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "recordings.db"
    recordings = SqliteRecordings(path, clock=clock)
    for number in range(10):
        await record(recordings, str(number), ttl=600 if number % 2 else 5)
    assert sweep(path, BEGIN + 4) == 0
    assert rows(path) == [10, 20, 10]
    sweep(path, BEGIN + 5)
    assert rows(path) == [5, 10, 5]
    assert (await recordings.held("tenant"))["key"].recordings == 5
    for number in range(1, 10, 2):
        assert await recordings.find("tenant", f"key:{number}") is not None
    await recordings.aclose()


async def test_one_sweep_forgets_a_bounded_number_and_the_next_goes_on(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "recordings.db"
    recordings = SqliteRecordings(path, clock=clock)
    for number in range(450):
        await record(recordings, str(number), ttl=5)
    reached = sweep(path, BEGIN + 5)
    assert (reached, rows(path)[0]) == (400, 50)
    assert sweep(path, BEGIN + 5, reached) == 0
    assert rows(path) == [0, 0, 0]
    await recordings.aclose()


async def test_a_full_file_is_an_error_until_something_is_over(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "recordings.db"
    tables = SCHEMA.partition(";")[2]
    monkeypatch.setattr("switchyard.store.recordings.sqlite.SCHEMA", f"PRAGMA max_page_count = 100;{tables}")
    recordings = SqliteRecordings(path, clock=clock)
    await record(recordings, "long", ttl=5, size=250_000)
    with pytest.raises(StoreError, match="full"):
        await record(recordings, "another", size=250_000)
    assert await recordings.find("tenant", "key:long") is not None

    sweep(path, BEGIN + 5)
    await record(recordings, "third", size=250_000)
    await recordings.aclose()


async def test_they_have_a_file_of_their_own_beside_the_store(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/store.db"
    store, recordings = open_store(url), open_recordings(url)
    await store.put("one", b"", ttl=5)
    assert await recordings.find("tenant", "key:one") is None
    await store.aclose()
    await recordings.aclose()
    assert files(tmp_path) == {"store.db", "store-recordings.db"}
