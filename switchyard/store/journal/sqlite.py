"""A journal in one SQLite file; an entry's cursor is its time in microseconds, later than any before it."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from switchyard.store.journal.contract import Entries
from switchyard.store.sqlite_thread import SqliteThread

_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (at INTEGER PRIMARY KEY AUTOINCREMENT, entry BLOB NOT NULL)
"""
_MICROSECONDS = 1_000_000
_LAST = 2**63 - 1


class SqliteJournal:
    """A journal in the file at ``path``; ``clock`` returns seconds since 1970."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._thread = SqliteThread(path, _SCHEMA, _nothing, sweep_seconds=float("inf"))

    async def append(self, entry: bytes) -> str:
        def run(connection: sqlite3.Connection) -> int:
            # AUTOINCREMENT remembers the last one, also when it was pruned, so no cursor comes twice.
            ((last,),) = connection.execute(
                "SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'journal'"
            ).fetchall()
            at = max(int(self._clock() * _MICROSECONDS), int(last) + 1)
            connection.execute("INSERT INTO journal VALUES (?, ?)", (at, entry))
            return at

        return str(await self._thread.write(run))

    async def older(self, *, than: str = "", count: int = 100) -> Entries:
        return await self._read(
            "SELECT at, entry FROM journal WHERE at < ? ORDER BY at DESC LIMIT ?",
            _number(than) if than else _LAST,
            count,
        )

    async def newer(self, *, than: str, count: int = 100) -> Entries:
        found = await self._read("SELECT at, entry FROM journal WHERE at > ? ORDER BY at LIMIT ?", _number(than), count)
        return found[::-1]

    async def prune(self, *, before: int, most: int) -> None:
        def run(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM journal WHERE at < ?", (before * _MICROSECONDS,))
            connection.execute(
                "DELETE FROM journal WHERE at <= (SELECT at FROM journal ORDER BY at DESC LIMIT 1 OFFSET ?)", (most,)
            )

        await self._thread.write(run)

    async def aclose(self) -> None:
        await self._thread.aclose()

    async def _read(self, query: str, at: int, count: int) -> Entries:
        rows = await self._thread.read(lambda connection: connection.execute(query, (at, count)).fetchall())
        return [(str(cursor), entry) for cursor, entry in rows]


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise ValueError(f"{cursor[:40]!r} is no cursor of this journal")
    return int(cursor)


def _nothing(connection: sqlite3.Connection) -> None:
    """Sweep nothing: ``prune`` does."""
