"""Collections in Redis, for several replicas on several machines; one hash slot for each collection."""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from uuid import uuid4

from switchyard.store.records.contract import TOUCHES_KEPT, Changes, Record
from switchyard.store.redis import RedisClient, tag


class RedisRecords(RedisClient):
    """Collections at a URL, as ``RedisClient`` has it."""

    def __init__(self, url: str, *, seconds: float = 1.0, clock: Callable[[], float] = time.time) -> None:
        super().__init__(url, seconds=seconds)
        self._clock = clock
        self._put = self._redis.register_script(_source("records_put"))
        self._changes = self._redis.register_script(_source("records_changes"))
        self._remove = self._redis.register_script(_source("records_remove"))

    async def put(self, collection: str, name: str, value: bytes, *, expected: int) -> int | None:
        arguments: list[str | bytes | int] = [name, value, expected, uuid4().hex]
        return int(await self._do(lambda: self._put(_keys(collection), arguments))) or None

    async def changes(self, collection: str, *, after: int, count: int = 1000) -> Changes:
        revision, epoch, *found = await self._do(lambda: self._changes(_keys(collection), [after, count]))
        rows = zip(found[::3], found[1::3], found[2::3], strict=True)
        records = tuple(Record(name.decode(), value, int(changed)) for name, changed, value in rows)
        return Changes(records, int(revision), epoch.decode())

    async def remove(self, collection: str, names: Sequence[str]) -> None:
        if names:
            await self._do(lambda: self._remove(_keys(collection), [uuid4().hex, *names]))

    async def touch(self, collection: str, times: Mapping[str, int]) -> None:
        if not times:
            return
        key = _touched(collection)
        await self._do(lambda: self._redis.zadd(key, times, gt=True))
        await self._do(lambda: self._redis.zremrangebyscore(key, "-inf", self._clock() - TOUCHES_KEPT))

    async def touched(self, collection: str, names: Sequence[str]) -> Mapping[str, int]:
        if not names:
            return {}
        found = await self._do(lambda: self._redis.zmscore(_touched(collection), list(names)))
        return {name: int(at) for name, at in zip(names, found, strict=True) if at is not None}


def _source(name: str) -> str:
    return files("switchyard.store").joinpath("scripts", f"{name}.lua").read_text(encoding="utf-8")


def _base(collection: str) -> str:
    return f"switchyard:{{records:{tag(collection)}}}:"


def _touched(collection: str) -> str:
    return f"{_base(collection)}touched"


def _keys(collection: str) -> list[str]:
    return [_base(collection) + part for part in ("revision", "epoch", "values", "changes", "touched")]
