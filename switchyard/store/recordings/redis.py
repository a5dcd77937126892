"""Recordings in Redis, for several replicas on several machines: one Lua script for each operation."""

from collections.abc import Callable, Mapping, Sequence

import orjson

from switchyard.store.recordings.contract import (
    Bounds,
    Held,
    Page,
    Recording,
    State,
    SupersededError,
    check_segment,
    kind_of,
)
from switchyard.store.redis import tag
from switchyard.store.redis_connection import RedisConnection, Script

_CLEARED_AT_ONCE = 500  # in one script: others wait for it


class RedisRecordings:
    """``url`` as in ``RedisStore``; after ``seconds`` without a response a call fails.

    Time is Redis's own, or what ``clock`` returns in seconds since 1970. All of a process share one connection.
    """

    def __init__(self, url: str, *, seconds: float = 1.0, clock: Callable[[], float] | None = None) -> None:
        self._connection = RedisConnection(url, seconds)
        self._clock = clock
        self._claim = _script("claim")
        self._find = _script("find")
        self._follow = _script("follow")
        self._append = _script("append")
        self._finish = _script("finish")
        self._forget = _script("forget")
        self._clear = _script("clear")
        self._held = _script("held")

    async def claim(
        self,
        scope: str,
        name: str,
        recording: str,
        fingerprint: bytes,
        *,
        lease: float,
        ttl: float,
        aliases: Sequence[str] = (),
        report_lost: bool = False,
    ) -> Page | None:
        names = orjson.dumps([name, *aliases])
        found = await self._run(
            self._claim, scope, names, kind_of(name), recording, fingerprint, lease, ttl, int(report_lost)
        )
        if found == b"used":
            raise ValueError(f"another recording has the id {recording!r}")
        return _page(found, 0)

    async def find(self, scope: str, name: str, *, after: int = 0) -> Page | None:
        return _page(await self._run(self._find, scope, name, after), after)

    async def follow(self, scope: str, recording: str, *, after: int) -> Page | None:
        return _page(await self._run(self._follow, scope, recording, after), after)

    async def append(self, scope: str, recording: str, number: int, segment: bytes, *, lease: float) -> bool:
        check_segment(segment)
        result = await self._run(self._append, scope, recording, number, segment, lease)
        _check_written(result, recording, number)
        return result == b"1"

    async def finish(
        self, scope: str, recording: str, number: int, segment: bytes, *, complete: bool, ttl: float, bounds: Bounds
    ) -> None:
        check_segment(segment)
        state: State = "complete" if complete else "failed"
        result = await self._run(
            self._finish, scope, recording, number, segment, state, ttl, bounds.recordings, bounds.size
        )
        _check_written(result, recording, number)

    async def forget(self, scope: str, name: str) -> bool:
        return await self._run(self._forget, scope, name) == b"1"

    async def clear(self, scope: str, kind: str) -> int:
        cleared, forgotten = 0, _CLEARED_AT_ONCE
        while forgotten == _CLEARED_AT_ONCE:
            result = await self._run(self._clear, scope, kind, _CLEARED_AT_ONCE)
            assert result is not None
            forgotten, live = map(int, result.split())
            cleared += live
        return cleared

    async def held(self, scope: str) -> Mapping[str, Held]:
        found = await self._run(self._held, scope)
        kinds = orjson.loads(found) if found else []
        return {kind: Held(recordings=recordings, size=size) for kind, recordings, size in kinds}

    async def aclose(self) -> None:
        await self._connection.aclose()

    async def _run(self, script: Script, scope: str, *args: bytes | str | float) -> bytes | None:
        time = repr(self._clock()) if self._clock else ""
        return await self._connection.run_script(script, _base(scope), time, *args)


def _script(operation: str) -> Script:
    return Script(f"recordings_{operation}", shared="recordings")


def _base(scope: str) -> str:
    """Return the start of the names of all keys of a scope; a cluster keeps them together."""
    return f"switchyard:{{recordings:{tag(scope)}}}:"


def _check_written(result: bytes | None, recording: str, number: int) -> None:
    if result == b"superseded":
        raise SupersededError(f"the recording {recording} has another writer, or it is over")
    if result is not None and result.startswith(b"next"):
        raise ValueError(f"segment {number} is not the next one: there are {int(result.split()[1])}")


def _page(found: bytes | None, after: int) -> Page | None:
    if found is None:
        return None
    end = found.index(b"\n")
    state, age, left, count, size, of_id, of_fingerprint, *lengths = found[:end].decode().split()
    parts: list[bytes] = []
    begin = end + 1
    for length in map(int, (of_id, of_fingerprint, *lengths)):
        parts.append(found[begin : begin + length])
        begin += length
    identity, fingerprint, *segments = parts
    recording = Recording(
        id=identity.decode(),
        fingerprint=fingerprint,
        state=_STATES[state],
        age=float(age),
        left=float(left),
        segments=int(count),
        size=int(size),
    )
    return Page(recording=recording, first=after, segments=segments)


_STATES: Mapping[str, State] = {"running": "running", "complete": "complete", "failed": "failed", "lost": "lost"}
