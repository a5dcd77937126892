"""A ledger in Redis, for several replicas on several machines: one Lua script for each operation."""

from collections.abc import Callable, Sequence
from typing import Any

import orjson
from redis.exceptions import NoScriptError, RedisError

from switchyard.store.contract import StoreError
from switchyard.store.counters import stored_name
from switchyard.store.ledger import Claim, Denial, Entry, Grant, Level, Total, Width, check_claims, check_lease
from switchyard.store.redis import connect, tag
from switchyard.store.redis_connection import RedisConnection, Script

_OWNERS = "switchyard:{ledger}:owners"
_STARTS_AT_ONCE = 500  # of totals in one script: others wait for it
_KNOWN_OWNERS = 100_000


class RedisLedger:
    """``url`` as in ``RedisStore``; after ``seconds`` without a response a call fails.

    Time is Redis's own, or what ``clock`` returns in seconds since 1970.
    """

    def __init__(self, url: str, *, seconds: float = 1.0, clock: Callable[[], float] | None = None) -> None:
        self._redis = connect(url, seconds)
        self._connection = RedisConnection(url, seconds)
        self._clock = clock
        self._closed = False
        self._reserve = Script("reserve", shared="counters")
        self._renew = Script("renew", shared="counters")
        self._settle = Script("settle", shared="counters")
        self._totals = Script("totals")
        self._prune = Script("prune")
        self._known_owners: set[str] = set()

    async def reserve(self, owner: str, call_id: str, claims: Sequence[Claim], *, lease: float) -> Grant | Denial:
        check_claims(claims)
        check_lease(lease)
        result = await self._connection.run_script(
            self._reserve, _base(owner), self._time(), call_id, lease, _packed(claims)
        )
        assert result is not None
        denied, levels = _parsed(result)
        return Denial(levels, denied - 1) if denied else Grant(levels)

    async def renew(self, owner: str, call_ids: Sequence[str], *, lease: float) -> None:
        check_lease(lease)
        await self._connection.run_script(self._renew, _base(owner), self._time(), lease, *call_ids)

    async def settle(
        self, owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None
    ) -> tuple[Level, ...] | None:
        check_claims(claims)
        usage = (entry.dimensions, " ".join(map(str, entry.amounts)), entry.row) if entry else ()
        result = await self._connection.run_script(
            self._settle, _base(owner), self._time(), call_id, _packed(claims), *usage
        )
        if result is None:
            return None
        first, levels = _parsed(result)
        # Another slot, so not in the script. After a crash here, the next process to settle for this owner adds it.
        if entry and (first or owner not in self._known_owners):
            await self._do("SADD", _OWNERS, owner)
            if len(self._known_owners) < _KNOWN_OWNERS:
                self._known_owners.add(owner)
        return levels

    async def totals(self, owner: str, *, since: int, until: int, width: Width) -> list[Total]:
        found: list[Total] = []
        while True:
            page = await self._run(self._totals, owner, since, until, width, _STARTS_AT_ONCE)
            for start, fields in page:
                named = zip(fields[::2], fields[1::2], strict=True)
                sums = [(key.decode(), tuple(map(int, amounts.split()))) for key, amounts in named]
                found += [Total(int(start), key, amounts) for key, amounts in sorted(sums)]
            if len(page) < _STARTS_AT_ONCE:
                return found
            since = int(page[-1][0]) + 1

    async def rows(
        self, owner: str, *, since: int, until: int, after: str = "", count: int = 1000
    ) -> list[tuple[str, bytes]]:
        first = f"({after}" if after and int(after.partition("-")[0]) >= since * 1000 else since * 1000
        if until <= since or count <= 0:
            return []
        key = f"{_base(owner)}rows"
        found = await self._do("XRANGE", key, first, until * 1000 - 1, "COUNT", count)
        return [(cursor.decode(), fields[b"row"]) for cursor, fields in found]

    async def owners(self) -> list[str]:
        names = sorted(name.decode() for name in await self._do("SMEMBERS", _OWNERS))
        return [name for name in names if await self._do("EXISTS", f"{_base(name)}starts:86400")]

    async def prune(self, before: int) -> None:
        for owner in await self.owners():
            while await self._run(self._prune, owner, before, _STARTS_AT_ONCE):
                pass

    async def aclose(self) -> None:
        self._closed = True
        await self._connection.aclose()
        await self._redis.aclose()

    def _time(self) -> str:
        return repr(self._clock()) if self._clock else ""

    async def _run(self, script: Script, owner: str, *args: Any) -> Any:
        try:
            return await self._do("EVALSHA", script.sha, 1, _base(owner), *args)
        except NoScriptError:  # the first time, or after Redis was restarted
            return await self._do("EVAL", script.text, 1, _base(owner), *args)

    async def _do(self, *command: Any) -> Any:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoScriptError:
            raise
        except (RedisError, OSError) as err:
            raise StoreError(f"Redis does not respond: {err}") from err


def _base(owner: str) -> str:
    """Return the start of the names of all keys of an owner; a cluster keeps them together."""
    return f"switchyard:{{{tag(owner)}}}:ledger:"


def _packed(claims: Sequence[Claim]) -> bytes:
    return orjson.dumps(
        [
            (stored_name(one.counter, one.kind, one.seconds), one.amount, one.limit, one.ends, one.enforced)
            for one in claims
        ]
    )


def _parsed(result: bytes) -> tuple[int, tuple[Level, ...]]:
    first, *words = result.split()
    pairs = zip(words[::2], words[1::2], strict=True)
    return int(first), tuple(Level(int(used), float(free_in)) for used, free_in in pairs)
