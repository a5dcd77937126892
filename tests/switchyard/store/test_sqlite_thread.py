import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.sqlite_thread import SqliteThread
from tests.switchyard.store.conftest import DEADLINE

SCHEMA = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file.db"


@pytest.fixture
def rolled_back() -> list[str]:
    return []


@pytest.fixture
async def file(path: Path, rolled_back: list[str]) -> AsyncIterator[SqliteThread]:
    opened = SqliteThread(
        path, SCHEMA, lambda _: None, sweep_seconds=1000, on_rollback=lambda: rolled_back.append("once")
    )
    await opened.read(lambda _: None)
    yield opened
    await opened.aclose()


def add(connection: sqlite3.Connection) -> int:
    return connection.execute("INSERT INTO numbers VALUES (NULL)").lastrowid or 0


def count(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        ((found,),) = connection.execute("SELECT count(*) FROM numbers").fetchall()
        return int(found)


async def is_at_once(file: SqliteThread) -> bool:
    """Whether the next write is done before the event loop has another turn."""
    task = asyncio.create_task(file.write_now(add))
    await asyncio.sleep(0)
    at_once = task.done()
    await task
    return at_once


async def test_a_write_is_done_at_once_where_nobody_else_writes(file: SqliteThread, path: Path) -> None:
    assert [await is_at_once(file) for _ in range(3)] == [True] * 3
    assert count(path) == 3


async def test_the_event_loop_does_not_wait_for_another_writer(file: SqliteThread, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(file.write_now(add)) for _ in range(3)]
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not any(task.done() for task in waiting)
        other.execute("COMMIT")
    async with asyncio.timeout(DEADLINE):
        assert await asyncio.gather(*waiting) == [1, 2, 3]
    assert await is_at_once(file)


async def test_a_read_is_done_at_once_also_while_another_writes(file: SqliteThread, path: Path) -> None:
    def numbers(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM numbers").fetchone()[0])

    await file.write_now(add)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        read = asyncio.create_task(file.read_now(numbers))
        await asyncio.sleep(0)
        assert read.done()
        assert await read == 1
        other.execute("COMMIT")

    writing = asyncio.create_task(file.write(add))
    await asyncio.sleep(0)
    behind = asyncio.create_task(file.read_now(numbers))  # the connection is the thread's
    assert (await writing, await behind) == (2, 2)
    with pytest.raises(StoreError, match="no such table: nowhere"):
        await file.read_now(lambda connection: connection.execute("SELECT * FROM nowhere"))


async def test_after_slow_writes_the_thread_writes(file: SqliteThread, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.store.sqlite_thread._SLOW_SECONDS", 0.0)
    assert [await is_at_once(file) for _ in range(3)] == [True] * 3
    assert not await is_at_once(file)

    monkeypatch.setattr("switchyard.store.sqlite_thread._THREAD_SECONDS", 0.0)
    file._slow_until = 0.0  # as a second later
    assert await is_at_once(file)


async def test_what_fails_is_not_written(file: SqliteThread, path: Path, rolled_back: list[str]) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        add(connection)
        connection.execute("INSERT INTO nowhere VALUES (1)")

    for write in (file.write_now, file.write):
        with pytest.raises(StoreError, match="no such table: nowhere"):
            await write(fail)
    assert rolled_back == ["once", "once"]
    assert await file.write_now(add) == 1
    assert count(path) == 1


async def test_the_log_goes_into_the_file_before_it_is_long(file: SqliteThread, path: Path) -> None:
    for _ in range(5000):
        await file.write_now(add)
    frame = 4096 + 24
    assert path.with_name("file.db-wal").stat().st_size < 2500 * frame
    assert count(path) == 5000


async def test_the_file_and_those_beside_it_are_their_owners_alone(path: Path) -> None:
    path.parent.chmod(0o755)
    files = [SqliteThread(path, SCHEMA, lambda _: None, sweep_seconds=1000) for _ in range(4)]
    await asyncio.gather(*(file.write(add) for file in files))
    found = {one.name: oct(one.stat().st_mode & 0o777) for one in path.parent.iterdir()}
    assert found == dict.fromkeys(("file.db", "file.db-wal", "file.db-shm"), "0o600")
    assert count(path) == 4
    for file in files:
        await file.aclose()


@pytest.mark.parametrize("act", ["moved", "replaced", "left"])
async def test_a_file_that_was_moved_is_noticed(act: str, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = SqliteThread(path, SCHEMA, lambda _: None, sweep_seconds=0)
    await file.write(add)
    if act != "left":
        os.rename(path, path.parent / "away.db")
    if act == "replaced":
        os.close(os.open(path, os.O_CREAT))
    await file.read(lambda _: None)
    assert ("was moved or replaced" in caplog.text) is (act != "left")
    await file.aclose()


async def test_what_is_in_memory_alone_makes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    memory = SqliteThread(Path(":memory:"), SCHEMA, lambda _: None, sweep_seconds=0)
    await memory.write(add)
    assert await memory.read(lambda connection: connection.execute("SELECT count(*) FROM numbers").fetchone()) == (1,)
    assert os.listdir(tmp_path) == []
    assert caplog.text == ""
    await memory.aclose()
