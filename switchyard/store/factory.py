"""Opens the store that a URL names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from switchyard.store.contract import Store


def open_store(url: str) -> Store:
    """Return the store of a URL, not opened yet.

    The URL is ``sqlite:///absolute/path``, ``sqlite:relative/path`` or ``redis://host:port/database``.

    Raises:
        ValueError: the URL names no store.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and parts.path and not parts.netloc:
        from switchyard.store.sqlite import SqliteStore

        return SqliteStore(Path(unquote(parts.path)))
    if parts.scheme in ("redis", "rediss", "unix"):
        from switchyard.store.redis import RedisStore  # not at the top: one machine needs no Redis client

        return RedisStore(url)
    raise ValueError(f"{url!r} is not a store: use sqlite:///path/to/file or redis://host:port")
