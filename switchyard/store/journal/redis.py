"""A journal in Redis: a stream, whose ids are the cursors."""

import re
from typing import Any

from switchyard.store.journal.contract import Entries
from switchyard.store.redis import RedisClient

_KEY = "switchyard:{journal}:entries"
_CURSOR = re.compile(r"[0-9]{1,15}-[0-9]{1,15}")


class RedisJournal(RedisClient):
    """A journal at a URL, as ``RedisClient`` has it."""

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


def _checked(cursor: str) -> str:
    if not _CURSOR.fullmatch(cursor):
        raise ValueError(f"{cursor[:40]!r} is no cursor of this journal")
    return cursor


def _entries(found: Any) -> Entries:
    return [(cursor.decode(), fields[b"entry"]) for cursor, fields in found]
