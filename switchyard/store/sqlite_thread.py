"""A store in one SQLite file, for one machine and any number of processes.

Write-ahead logging with ``synchronous=NORMAL`` loses nothing when a process is killed; a power cut may lose the last
moments but never damages the file (https://www.sqlite.org/wal.html, "Performance Considerations").
"""

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from switchyard.store.contract import StoreError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB NOT NULL, ends REAL NOT NULL) WITHOUT ROWID
"""
_BUSY_SECONDS = 2.0  # how long one process waits for another one's write
_SWEEP_SECONDS = 60.0
_BATCH = 256

Statement = tuple[str, tuple[Any, ...]]


class SqliteStore:
    """Runs all operations in one thread, and all that are waiting in one transaction.

    A hundred concurrent writes thus cost one commit, and the event loop never waits for the disk. ``clock`` returns
    seconds since the epoch.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._operations: queue.SimpleQueue[tuple[Statement, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def get(self, key: str) -> bytes | None:
        rows = await self._execute("SELECT value FROM entries WHERE key = ? AND ends > ?", key, self._clock())
        return rows[0][0] if rows else None

    async def put(self, key: str, value: bytes, *, ttl: float) -> None:
        if ttl <= 0:
            raise ValueError(f"a time to live of {ttl:g} s is none; give a positive number of seconds")
        await self._execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", key, value, self._clock() + ttl)

    async def aclose(self) -> None:
        if self._thread is not None and not self._closed:
            self._operations.put(None)
            await asyncio.to_thread(self._thread.join)
        self._closed = True

    async def _execute(self, sql: str, *values: Any) -> Any:
        if self._closed:
            raise StoreError(f"the store {self._path} is closed")
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="sqlite-store", daemon=True)
            self._thread.start()
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._operations.put(((sql, values), done))
        return await done

    # The methods below run in the thread.

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        swept = time.monotonic()
        last = False
        while not last:
            batch, last = self._batch()
            try:
                connection = connection or self._open()
                if time.monotonic() - swept > _SWEEP_SECONDS:
                    swept = time.monotonic()
                    connection.execute("DELETE FROM entries WHERE ends <= ?", (self._clock(),))
                results = self._transaction(connection, [statement for statement, _ in batch])
            except (sqlite3.Error, OSError) as err:
                failure = StoreError(f"the store {self._path} does not respond: {err}")
                self._deliver([(done, failure) for _, done in batch])
            else:
                self._deliver([(done, result) for (_, done), result in zip(batch, results, strict=True)])
        if connection is not None:
            connection.close()

    def _batch(self) -> tuple[list[tuple[Statement, asyncio.Future[Any]]], bool]:
        """Wait for at least one operation; return all that are waiting, and whether to close after them."""
        batch: list[tuple[Statement, asyncio.Future[Any]]] = []
        while len(batch) < _BATCH:
            if batch and self._operations.empty():
                break
            operation = self._operations.get()
            if operation is None:
                return batch, True
            batch.append(operation)
        return batch, False

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(_SCHEMA)
        return connection

    def _transaction(self, connection: sqlite3.Connection, statements: list[Statement]) -> list[Any]:
        writes = any(not sql.startswith("SELECT") for sql, _ in statements)
        if not writes:
            return [connection.execute(*statement).fetchall() for statement in statements]
        # The write lock at once: SQLite fails a transaction that began by reading and then meets another writer,
        # without waiting for `_BUSY_SECONDS`.
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [connection.execute(*statement).fetchall() for statement in statements]
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results

    def _deliver(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():  # a closed loop has no waiters
            self._loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for done, outcome in outcomes:
        if done.done():  # the waiter was cancelled
            continue
        if isinstance(outcome, StoreError):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
