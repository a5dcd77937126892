"""One connection to one SQLite file, for one machine and any number of processes.

Write-ahead logging with ``synchronous=NORMAL`` loses nothing when a process is killed; a power cut may lose the last
moments but never damages the file (https://www.sqlite.org/wal.html, "Performance Considerations").
"""

import asyncio
import logging
import os
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from switchyard.store.contract import StoreError

logger = logging.getLogger(__name__)

_BUSY_SECONDS = 2.0  # how long one process waits for another one's write
# Between two attempts: left to SQLite, it sleeps longer and longer, up to 100 ms, and eight busy processes overtake the
# one that has waited longest.
_PAUSE_SECONDS = 0.001
_BATCH = 256
_SLOW_SECONDS = 0.005  # a commit takes 0.02 ms where the system takes what is written into its memory
_SLOW_WRITES = 3  # or reads, in a row: the disk is slow, where one alone may have waited for a processor
_THREAD_SECONDS = 1.0  # so long nothing is then done in the event loop
_LOG_WRITES = 1000  # then the log, of some 10 MB, goes into the file

T = TypeVar("T")


class _Operation(NamedTuple):
    run: Callable[[sqlite3.Connection], Any]
    writes: bool
    done: asyncio.Future[Any] | None


class SqliteThread:
    """Runs operations in the event loop where that is quick, else in a thread, and all that wait in one transaction.

    Handing a write to a thread takes longer than the write. But whatever may wait for the disk or for another process
    is done in the thread: long operations, those that find the file locked, and the log's way into the file, which
    SQLite else adds to any commit. The loop and the thread share one connection, which is the thread's while it has
    anything to do. A loop that a slow disk has stopped once leaves all to the thread for a while.

    ``sweep`` removes what is over: it runs with the first operation after ``sweep_seconds``, outside their transaction.
    ``on_rollback`` is called when what an operation wrote was not.
    """

    def __init__(
        self,
        path: Path,
        schema: str,
        sweep: Callable[[sqlite3.Connection], None],
        *,
        sweep_seconds: float,
        on_rollback: Callable[[], None] = lambda: None,
    ) -> None:
        self._path = path
        self._in_memory = path == Path(":memory:")  # SQLite's name of what is no file
        self._schema = schema
        self._sweep = sweep
        self._sweep_seconds = sweep_seconds
        self._on_rollback = on_rollback
        self._operations: queue.SimpleQueue[_Operation | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._connection: sqlite3.Connection | None = None
        self._inode = 0  # of the file that the connection has
        self._in_thread = 0  # operations; while there are any, the connection is the thread's
        self._slow_writes = 0
        self._slow_until = 0.0
        self._swept = time.monotonic()
        self._writes = 0  # since the log went into the file

    async def read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``run`` reads; it must not write.

        Raises:
            StoreError: the file cannot be read, or it is closed.
        """
        return await self._submit(run, writes=False)

    async def write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """Return what ``run`` returns, after what it wrote is safe from a crash of this process.

        Raises:
            StoreError: the file cannot be written, or it is closed; nothing of ``run`` is written.
        """
        return await self._submit(run, writes=True)

    async def read_now(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """As ``read``, of one statement that takes microseconds: the event loop does it, as in ``write_now``."""
        return await self._run_now(run, writes=False)

    async def write_now(self, run: Callable[[sqlite3.Connection], T]) -> T:
        """As ``write``, of what takes microseconds: the event loop does it, unless it would have to wait."""
        return await self._run_now(run, writes=True)

    async def _run_now(self, run: Callable[[sqlite3.Connection], T], *, writes: bool) -> T:
        connection, begun = self._connection, time.monotonic()
        if connection is None or self._in_thread or begun < self._slow_until:
            return await self._submit(run, writes=writes)
        try:
            result = transaction(connection, run, self._on_rollback, wait=False) if writes else run(connection)
        except Exception as err:
            if not _is_busy(err):
                raise self._failure(err) from err
            return await self._submit(run, writes=writes)
        now = time.monotonic()
        self._slow_writes = self._slow_writes + 1 if now - begun > _SLOW_SECONDS else 0
        if self._slow_writes >= _SLOW_WRITES:
            self._slow_writes, self._slow_until = 0, now + _THREAD_SECONDS
        self._writes += writes
        if self._is_sweep_due(now):
            self._put(_Operation(_nothing, writes=False, done=None))
        return result

    async def aclose(self) -> None:
        """Wait for the operations in progress and close the file; may be called again."""
        if self._thread is not None and not self._closed:
            self._in_thread += 1  # for good
            self._operations.put(None)
        self._closed = True
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    def _submit(self, run: Callable[[sqlite3.Connection], T], *, writes: bool) -> asyncio.Future[T]:
        if self._closed:
            raise StoreError(f"the store {self._path} is closed")
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._run, name="sqlite-store", daemon=True)
            self._thread.start()
        done: asyncio.Future[T] = self._loop.create_future()
        self._put(_Operation(run, writes, done))
        return done

    def _put(self, operation: _Operation) -> None:
        self._in_thread += 1
        self._operations.put(operation)

    def _take_back(self, outcomes: list[tuple[asyncio.Future[Any] | None, Any]]) -> None:
        self._in_thread -= len(outcomes)
        for done, outcome in outcomes:
            if done is None or done.done():  # the waiter was cancelled
                continue
            if isinstance(outcome, StoreError):
                done.set_exception(outcome)
            else:
                done.set_result(outcome)

    def _is_sweep_due(self, now: float) -> bool:
        return now - self._swept > self._sweep_seconds or self._writes >= _LOG_WRITES

    def _failure(self, err: Exception) -> StoreError:
        return StoreError(f"the store {self._path} does not respond: {err}")

    # The methods below run in the thread.

    def _run(self) -> None:
        last = False
        while not last:
            batch, last = self._batch()
            try:
                connection = self._connection = self._connection or self._open()
                self._sweep_if_due(connection)
                results = self._execute(connection, batch)
            except Exception as err:  # whatever it is: the thread must live, and nobody may wait forever
                failure = self._failure(err)
                self._deliver([(operation.done, failure) for operation in batch])
            else:
                self._deliver([(operation.done, result) for operation, result in zip(batch, results, strict=True)])
        if self._connection is not None:
            self._connection.close()

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
        if not self._in_memory:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                _create(self._path)
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        # Of two connections that change the journal of a new file at once, SQLite fails one without any wait: each
        # holds the lock that the other one needs.
        _when_free(lambda: connection.execute("PRAGMA journal_mode = WAL"))
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        _when_free(lambda: connection.executescript(self._schema))
        self._inode = 0 if self._in_memory else self._path.stat().st_ino
        return connection

    def _sweep_if_due(self, connection: sqlite3.Connection) -> None:
        if not self._is_sweep_due(now := time.monotonic()):
            return
        self._swept, self._writes = now, 0
        if not self._is_in_place():
            # Not opened again: SQLite's files beside it may be those of either (https://www.sqlite.org/howtocorrupt.html).
            logger.error("the store's file %s was moved or replaced: start again to use what is there", self._path)
        try:
            # The first commit after it waits for the disk. Here that is the sweep's.
            _, pages, copied = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if copied < pages:  # others wrote meanwhile, and so the log would grow for as long as they do
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
            self._sweep(connection)
        except sqlite3.Error as err:
            logger.warning("what is over stays in the store %s for now: %s", self._path, err)

    def _is_in_place(self) -> bool:
        try:
            return self._in_memory or self._path.stat().st_ino == self._inode
        except OSError:
            return False

    def _execute(self, connection: sqlite3.Connection, batch: list[_Operation]) -> list[Any]:
        def run_all(connection: sqlite3.Connection) -> list[Any]:
            return [operation.run(connection) for operation in batch]

        if any(operation.writes for operation in batch):
            self._writes += len(batch)
            return transaction(connection, run_all, self._on_rollback)
        return _when_free(lambda: run_all(connection))

    def _deliver(self, outcomes: list[tuple[asyncio.Future[Any] | None, Any]]) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():  # a closed loop has no waiters
            self._loop.call_soon_threadsafe(self._take_back, outcomes)


def _create(path: Path) -> None:
    """Create an empty file that its owner alone can read; SQLite's files beside it get the same mode.

    It appears under its name when it is closed: closing a file ends the locks that this process has on it.
    """
    handle, staged = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    with suppress(OSError):  # another process was faster, or the file system has no links
        os.link(staged, path)
    os.unlink(staged)


def transaction(
    connection: sqlite3.Connection,
    run: Callable[[sqlite3.Connection], T],
    on_rollback: Callable[[], None] = lambda: None,
    *,
    wait: bool = True,
) -> T:
    """Return what ``run`` returns, with all that it wrote committed; nothing is written if it raises.

    Raises:
        sqlite3.OperationalError: others write to the file, without ``wait`` at once.
    """
    # The write lock at once: SQLite fails a transaction that began by reading and then meets another writer.
    _when_free(lambda: connection.execute("BEGIN IMMEDIATE"), seconds=_BUSY_SECONDS if wait else 0)
    try:
        result = run(connection)
        connection.execute("COMMIT")
    except BaseException:
        on_rollback()
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _when_free(run: Callable[[], T], *, seconds: float = _BUSY_SECONDS) -> T:
    end = time.monotonic() + seconds
    while True:
        try:
            return run()
        except sqlite3.OperationalError as err:
            if not _is_busy(err) or time.monotonic() >= end:
                raise
        time.sleep(_PAUSE_SECONDS)


def _is_busy(err: Exception) -> bool:
    return isinstance(err, sqlite3.OperationalError) and err.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


def _nothing(connection: sqlite3.Connection) -> None:
    """Read and write nothing."""
