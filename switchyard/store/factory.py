"""Which store a URL means."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from switchyard.store.contract import Store


def open_store(url: str) -> Store:
    """``sqlite:///absolute/path``, ``sqlite:relative/path`` or ``redis://host:port/database``; nothing is opened yet.

    Raises:
        ValueError: the URL is neither.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and parts.path and not parts.netloc:
        from switchyard.store.sqlite import SqliteStore

        return SqliteStore(Path(unquote(parts.path)))
    if parts.scheme in ("redis", "rediss", "unix"):
        from switchyard.store.redis import RedisStore  # not at the top: one machine needs no Redis client

        return RedisStore(url)
    raise ValueError(f"{url!r} is no store: use sqlite:///path/to/file or redis://host:port")
