"""A store in one SQLite file, for one machine and any number of processes."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

from switchyard.store.sqlite_thread import SqliteThread

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, ends REAL NOT NULL) WITHOUT ROWID
"""
_SWEEP_SECONDS = 60.0


class SqliteStore:
    """Values in the file at ``path``; ``clock`` returns seconds since the epoch."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._thread = SqliteThread(path, _SCHEMA, self._sweep, sweep_seconds=_SWEEP_SECONDS)

    async def get(self, key: str) -> bytes | None:
        found = await self._thread.read(
            lambda connection: connection.execute(
                "SELECT value FROM entries WHERE key = ? AND ends > ?", (key, self._clock())
            ).fetchone()
        )
        return found[0] if found else None

    async def put(self, key: str, value: bytes, *, ttl: float) -> None:
        if ttl <= 0:
            raise ValueError(f"a time to live of {ttl:g} s is none; give a positive number of seconds")
        entry = key, value, self._clock() + ttl
        await self._thread.write(
            lambda connection: connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", entry)
        )

    async def aclose(self) -> None:
        await self._thread.aclose()

    def _sweep(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM entries WHERE ends <= ?", (self._clock(),))
