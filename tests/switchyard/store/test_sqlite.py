import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.sqlite import SqliteStore

WRITER = """
import asyncio, itertools, sys
from pathlib import Path
from switchyard.store.sqlite import SqliteStore

async def write():
    store = SqliteStore(Path(sys.argv[1]))
    for first in itertools.count(step=20):
        numbers = range(first, first + 20)
        await asyncio.gather(*(store.put(f"number:{n}", b"%d" % n, ttl=600) for n in numbers))
        print(numbers[-1], flush=True)

asyncio.run(write())
"""


def write_until_killed(path: Path) -> int:
    """The last number that a writer said it had put before it was killed in the midst of further ones."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    said = -1
    while said < 500:
        said = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    said = max([said, *map(int, writer.stdout.read().split())])
    writer.wait()
    writer.stdout.close()
    return said


async def test_nothing_that_was_put_is_lost_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    for _ in range(3):
        said = write_until_killed(path)
        store = SqliteStore(path)
        found = await asyncio.gather(*(store.get(f"number:{n}") for n in range(said + 1)))
        await store.aclose()
        assert found == [b"%d" % n for n in range(said + 1)]


async def test_processes_that_open_a_new_file_at_once_all_write_to_it(tmp_path: Path) -> None:
    # SQLite fails about one such opening in fifty at once, without a wait, unless it is tried again.
    for number in range(150):
        stores = [SqliteStore(tmp_path / f"{number}.db") for _ in range(3)]
        await asyncio.gather(*(store.put("key", b"value", ttl=600) for store in stores))
        await asyncio.gather(*(store.aclose() for store in stores))


async def test_what_is_over_is_removed_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.store.sqlite._SWEEP_SECONDS", 0.0)
    now = 1000.0
    store = SqliteStore(tmp_path / "store.db", clock=lambda: now)
    await store.put("conversation:old", b"value", ttl=10)
    now = 1020.0
    await store.put("conversation:new", b"value", ttl=10)
    await store.aclose()

    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        assert connection.execute("SELECT key FROM entries").fetchall() == [("conversation:new",)]


async def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteStore(tmp_path / "file" / "store.db")

    with pytest.raises(StoreError, match=r"store\.db does not respond"):
        await store.get("conversation:one")
    await store.aclose()


async def test_a_file_that_is_no_store_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"something else " * 100)
    store = SqliteStore(path)

    with pytest.raises(StoreError, match="not a database"):
        await store.put("conversation:one", b"value", ttl=60)
    await store.aclose()
    assert path.read_bytes() == b"something else " * 100
