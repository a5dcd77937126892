"""One thread for one SQLite file, for one machine and any number of processes.

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
from typing import Any, NamedTuple, TypeVar

from switchyard.store.contract import StoreError

_BUSY_SECONDS = 2.0  # how long one process waits for another one's write
# How long SQLite itself waits before it is asked again: left to it, it sleeps longer and longer, up to 100 ms, and
# eight busy processes overtake the one that has waited longest.
_PAUSE_MS = 1
_BATCH = 256

T = TypeVar("T")


class _Operation(NamedTuple):
    run: Callable[[sqlite3.Connection], Any]
    writes: bool
    done: asyncio.Future[Any]


class SqliteThread:
    """Runs all operations in one thread, and all that are waiting in one transaction.

    A hundred concurrent writes thus cost one commit, and the event loop never waits for the disk. ``sweep`` removes
    what is over: it runs with the first operation after ``sweep_seconds``, outside their transaction.
    """

    def __init__(
        self, path: Path, schema: str, sweep: Callable[[sqlite3.Connection], None], *, sweep_seconds: float
    ) -> None:
        self._path = path
        self._schema = schema
        self._sweep = sweep
        self._sweep_seconds = sweep_seconds
        self._operations: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``run`` reads; it must not write.

        Raises:
            StoreError: the file cannot be read, or the thread is closed.
        """
        result: T = await self._submit(run, writes=False)
        return result

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``run`` returns, after what it wrote is safe from a crash of this process.

        Raises:
            StoreError: the file cannot be written, or the thread is closed; nothing of ``run`` is written.
        """
        result: T = await self._submit(run, writes=True)
        return result

    async def aclose(self) -> None:
        """Wait for the operations in progress and close the file; may be called again."""
        if self._thread is not None and not self._closed:
            self._operations.put(None)
            await asyncio.to_thread(self._thread.join)
        self._closed = True

    def _submit(self, run: Callable[[sqlite3.Connection], Any], *, writes: bool) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreError(f"the store {self._path} is closed")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="sqlite-store", daemon=True)
            self._thread.start()
        done: asyncio.Future[Any] = self._loop.create_future()
        self._operations.put(_Operation(run, writes, done))
        return done

    # The methods below run in the thread.

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        swept = time.monotonic()
        last = False
        while not last:
            batch, last = self._batch()
            try:
                connection = connection or self._open()
                if time.monotonic() - swept > self._sweep_seconds:
                    swept = time.monotonic()
                    self._sweep(connection)
                results = self._execute(connection, batch)
            except Exception as err:  # whatever it is: the thread must live, and nobody may wait forever
                failure = StoreError(f"the store {self._path} does not respond: {err}")
                self._deliver([(operation.done, failure) for operation in batch])
            else:
                self._deliver([(operation.done, result) for operation, result in zip(batch, results, strict=True)])
        if connection is not None:
            connection.close()

    def _batch(self) -> tuple[list[_Operation], bool]:
        """Wait for at least one operation; return all that are waiting, and whether to close after them."""
        batch: list[_Operation] = []
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
        connection = sqlite3.connect(self._path, timeout=_PAUSE_MS / 1000, isolation_level=None)
        # Of two connections that change the journal of a new file at once, SQLite fails one without any wait: each
        # holds the lock that the other one needs.
        _when_free(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = NORMAL")
        _when_free(lambda: connection.executescript(self._schema))
        return connection

    def _execute(self, connection: sqlite3.Connection, batch: list[_Operation]) -> list[Any]:
        if any(operation.writes for operation in batch):
            return transaction(connection, lambda _: [operation.run(connection) for operation in batch])
        return _when_free(lambda: [operation.run(connection) for operation in batch])

    def _deliver(self, outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():  # a closed loop has no waiters
            self._loop.call_soon_threadsafe(_resolve, outcomes)


def transaction(connection: sqlite3.Connection, run: Callable[[sqlite3.Connection], T]) -> T:
    """Return what ``run`` returns, with all that it wrote committed; nothing is written if it raises."""
    # The write lock at once: SQLite fails a transaction that began by reading and then meets another writer,
    # without waiting for `_BUSY_SECONDS`.
    _when_free(lambda: connection.execute("BEGIN IMMEDIATE"))
    try:
        result = run(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _when_free(run: Callable[[], T]) -> T:
    end = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return run()
        except sqlite3.OperationalError as err:
            if err.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise


def _resolve(outcomes: list[tuple[asyncio.Future[Any], Any]]) -> None:
    for done, outcome in outcomes:
        if done.done():  # the waiter was cancelled
            continue
        if isinstance(outcome, StoreError):
            done.set_exception(outcome)
        else:
            done.set_result(outcome)
