"""Opens the store, ledger, records, journal or recordings that a URL names; all may be in the same file or Redis."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from switchyard.store.contract import Store
from switchyard.store.journal.contract import Journal
from switchyard.store.ledger import Ledger
from switchyard.store.recordings.contract import Recordings
from switchyard.store.records.contract import Records


def open_store(url: str) -> Store:
    """Return the store of a URL, not opened yet.

    The URL is ``sqlite:///absolute/path``, ``sqlite:relative/path`` or ``redis://host:port/database``.

    Raises:
        ValueError: the URL names no store.
    """
    path = _sqlite_path(url)
    if path is not None:
        from switchyard.store.sqlite import SqliteStore

        return SqliteStore(path)
    from switchyard.store.redis import RedisStore  # not at the top: one machine needs no Redis client

    return RedisStore(url)


def open_ledger(url: str) -> Ledger:
    """Return the ledger of a URL, not opened yet; the URL is one that ``open_store`` takes.

    Raises:
        ValueError: the URL names no store.
    """
    path = _sqlite_path(url)
    if path is not None:
        from switchyard.store.sqlite_ledger import SqliteLedger

        return SqliteLedger(path)
    from switchyard.store.redis_ledger import RedisLedger

    return RedisLedger(url)


def open_records(url: str) -> Records:
    """Return the records of a URL, not opened yet; the URL is one that ``open_store`` takes.

    Raises:
        ValueError: the URL names no store.
    """
    path = _sqlite_path(url)
    if path is not None:
        from switchyard.store.records.sqlite import SqliteRecords

        return SqliteRecords(path)
    from switchyard.store.records.redis import RedisRecords

    return RedisRecords(url)


def open_journal(url: str) -> Journal:
    """Return the journal of a URL, not opened yet; the URL is one that ``open_store`` takes.

    Raises:
        ValueError: the URL names no store.
    """
    path = _sqlite_path(url)
    if path is not None:
        from switchyard.store.journal.sqlite import SqliteJournal

        return SqliteJournal(path)
    from switchyard.store.journal.redis import RedisJournal

    return RedisJournal(url)


def open_recordings(url: str, *, keys: Path | None = None) -> Recordings:
    """Return the recordings of a URL, not opened yet; the URL is one that ``open_store`` takes.

    With a file of ``keys``, as ``read_keys`` takes it, they are encrypted. In SQLite they have a file of their own
    beside the store's: they are most of what is written, and may be lost.

    Raises:
        ValueError: the URL names no store, or the file has no keys.
    """
    opened = _open_recordings(url)
    if keys is None:
        return opened
    from switchyard.store.recordings.sealed import SealedRecordings, read_keys  # cryptography takes 30 ms

    return SealedRecordings(opened, read_keys(keys))


def _open_recordings(url: str) -> Recordings:
    path = _sqlite_path(url)
    if path is not None:
        from switchyard.store.recordings.sqlite import SqliteRecordings

        in_memory = path.name == ":memory:"
        return SqliteRecordings(path if in_memory else path.with_stem(f"{path.stem}-recordings"))
    from switchyard.store.recordings.redis import RedisRecordings

    return RedisRecordings(url)


def _sqlite_path(url: str) -> Path | None:
    """Return the file of a URL, or None if it names a Redis.

    Raises:
        ValueError: it names neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and parts.path and not parts.netloc:
        return Path(unquote(parts.path))
    if parts.scheme in ("redis", "rediss", "unix"):
        return None
    raise ValueError(f"{url!r} is not a store: use sqlite:///path/to/file or redis://host:port")
