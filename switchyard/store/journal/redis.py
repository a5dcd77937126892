"""A journal in Redis: a stream, whose ids are the cursors."""

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.exceptions import RedisError

from switchyard.store.contract import StoreError
from switchyard.store.journal.contract import Entries
from switchyard.store.redis import connect

T = TypeVar("T")
_KEY = "switchyard:{journal}:entries"
_CURSOR = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class RedisJournal:
    """``url`` as in ``RedisStore``; after ``seconds`` without a response a call fails."""

    def __init__(self, url: str, *, seconds: float = 1.0) -> None:
        self._redis = connect(url, seconds)
        self._closed = False

    async def append(self, entry: bytes) -> str:
        cursor = await self._do(lambda: self._redis.xadd(_KEY, {"entry": entry}))
        assert isinstance(cursor, bytes)  # nothing is decoded by the client
        return cursor.decode()

    async def older(self, *, than: str = "", count: int = 100) -> Entries:
        last = f"({_checked(than)}" if than else "+"
        return _entries(await self._do(lambda: self._redis.xrevrange(_KEY, last, "-", count=count)))

    async def newer(self, *, than: str, count: int = 100) -> Entries:
        first = f"({_checked(than)}"
        return _entries(await self._do(lambda: self._redis.xrange(_KEY, first, "+", count=count)))[::-1]

    async def prune(self, *, before: int, most: int) -> None:
        await self._do(lambda: self._redis.xtrim(_KEY, minid=str(before * 1000), approximate=False))
        await self._do(lambda: self._redis.xtrim(_KEY, maxlen=most, approximate=False))

    async def aclose(self) -> None:
        self._closed = True
        await self._redis.aclose()

    async def _do(self, run: Callable[[], Awaitable[T]]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return await run()
        except (RedisError, OSError) as err:
            raise StoreError(f"Redis does not respond: {err}") from err


def _checked(cursor: str) -> str:
    if not _CURSOR.fullmatch(cursor):
        raise ValueError(f"{cursor[:40]!r} is no cursor of this journal")
    return cursor


def _entries(found: Any) -> Entries:
    return [(cursor.decode(), fields[b"entry"]) for cursor, fields in found]
