"""Collections in one SQLite file, for one machine and any number of processes."""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from uuid import uuid4

from switchyard.store.records.contract import TOUCHES_KEPT, Changes, Record
from switchyard.store.sqlite_thread import SqliteThread, transaction

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    collection TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (collection, name)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS records_by_revision ON records (collection, revision);
CREATE TABLE IF NOT EXISTS collections (
    name TEXT PRIMARY KEY, revision INTEGER NOT NULL, epoch TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS touched (
    collection TEXT NOT NULL, name TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (collection, name)
) WITHOUT ROWID;
"""
_SWEEP_SECONDS = 3600.0


class SqliteRecords:
    """Collections in the file at ``path``; ``clock`` returns seconds since 1970."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._thread = SqliteThread(path, _SCHEMA, self._sweep, sweep_seconds=_SWEEP_SECONDS)

    async def put(self, collection: str, name: str, value: bytes, *, expected: int) -> int | None:
        return await self._thread.write(lambda connection: _put(connection, collection, name, value, expected))

    async def changes(self, collection: str, *, after: int, count: int = 1000) -> Changes:
        def run(connection: sqlite3.Connection) -> Changes:
            # The epoch first: records that are removed in between change it, which the next read then sees.
            state = connection.execute(
                "SELECT revision, epoch FROM collections WHERE name = ?", (collection,)
            ).fetchone()
            found = connection.execute(
                "SELECT name, value, revision FROM records WHERE collection = ? AND revision > ?"
                " ORDER BY revision LIMIT ?",
                (collection, after, count),
            )
            return Changes(tuple(Record(*row) for row in found), *(state or (0, "")))

        return await self._thread.read(run)

    async def remove(self, collection: str, names: Sequence[str]) -> None:
        def run(connection: sqlite3.Connection) -> None:
            rows = [(collection, name) for name in names]
            removed = connection.executemany("DELETE FROM records WHERE collection = ? AND name = ?", rows)
            if removed.rowcount > 0:
                connection.execute("UPDATE collections SET epoch = ? WHERE name = ?", (uuid4().hex, collection))
            connection.executemany("DELETE FROM touched WHERE collection = ? AND name = ?", rows)

        await self._thread.write(run)

    async def touch(self, collection: str, times: Mapping[str, int]) -> None:
        rows = [(collection, name, at) for name, at in times.items()]
        await self._thread.write(
            lambda connection: connection.executemany(
                "INSERT INTO touched VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)", rows
            )
        )

    async def touched(self, collection: str, names: Sequence[str]) -> Mapping[str, int]:
        def run(connection: sqlite3.Connection) -> dict[str, int]:
            found = {}
            for name in names:
                row = connection.execute(
                    "SELECT at FROM touched WHERE collection = ? AND name = ?", (collection, name)
                ).fetchone()
                if row:
                    found[name] = row[0]
            return found

        return await self._thread.read(run)

    async def aclose(self) -> None:
        await self._thread.aclose()

    def _sweep(self, connection: sqlite3.Connection) -> None:
        oldest = int(self._clock()) - TOUCHES_KEPT
        transaction(connection, lambda one: one.execute("DELETE FROM touched WHERE at < ?", (oldest,)))


def _put(connection: sqlite3.Connection, collection: str, name: str, value: bytes, expected: int) -> int | None:
    stored = connection.execute(
        "SELECT revision, value FROM records WHERE collection = ? AND name = ?", (collection, name)
    ).fetchone()
    if stored and stored[1] == value:
        return int(stored[0])
    if expected != (stored[0] if stored else 0):
        return None
    ((revision,),) = connection.execute(
        "INSERT INTO collections VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET revision = revision + 1 RETURNING revision",
        (collection, uuid4().hex),
    ).fetchall()
    connection.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?)", (collection, name, value, revision))
    return int(revision)
