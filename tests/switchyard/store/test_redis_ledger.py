import time
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from switchyard.store.contract import StoreError
from switchyard.store.ledger import Claim, Entry, Grant
from switchyard.store.redis_ledger import RedisLedger
from tests.switchyard.store.conftest import RedisServer

CLAIMS = [
    Claim("in-flight", 1, 10, "held"),
    Claim("requests", 1, 10, "rolling", seconds=60),
    Claim("money", 1, 10, "period", ends=2e9),
]


async def test_a_server_that_is_gone_is_an_error_and_works_when_it_is_back(redis_server: RedisServer) -> None:
    ledger = RedisLedger(redis_server.url)
    await ledger.reserve("tenant", "one", CLAIMS, lease=60)
    redis_server.stop()
    calls: list[Callable[[], object]] = [
        lambda: ledger.reserve("tenant", "two", CLAIMS, lease=60),
        lambda: ledger.renew("tenant", ["one"], lease=60),
        lambda: ledger.settle("tenant", "one", CLAIMS, Entry(b"row", "", (1,))),
        lambda: ledger.totals("tenant", since=0, until=1, width=60),
        lambda: ledger.rows("tenant", since=0, until=1),
        ledger.owners,
        lambda: ledger.prune(1),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="Redis does not respond"):
            await call()  # type: ignore[misc]

    await redis_server.restart()
    # It has forgotten everything, the scripts too.
    assert isinstance(await ledger.reserve("tenant", "three", CLAIMS, lease=60), Grant)
    assert await ledger.settle("tenant", "three", CLAIMS, Entry(b"row", "", (1,))) is not None
    assert await ledger.owners() == ["tenant"]
    await ledger.aclose()


async def test_each_operation_is_one_round_trip(redis_server: RedisServer) -> None:
    ledger, redis = RedisLedger(redis_server.url), Redis.from_url(redis_server.url)
    entry = Entry(b"row", "", (1,))
    await ledger.reserve("tenant", "first", CLAIMS, lease=60)
    await ledger.settle("tenant", "first", CLAIMS, entry)
    await ledger.renew("tenant", ["first"], lease=60)
    await redis.config_resetstat()

    await ledger.reserve("tenant", "one", CLAIMS, lease=60)
    await ledger.renew("tenant", ["one"], lease=60)
    await ledger.settle("tenant", "one", CLAIMS, entry)

    stats = await redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 3
    assert "cmdstat_eval" not in stats
    await redis.aclose()
    await ledger.aclose()


async def test_keys_of_an_owner_share_a_hash_tag_and_what_counts_is_forgotten_by_itself(
    redis_server: RedisServer,
) -> None:
    ledger, redis = RedisLedger(redis_server.url), Redis.from_url(redis_server.url)
    for number in range(3):
        await ledger.reserve("a{b}", str(number), CLAIMS, lease=60)
    await ledger.settle("a{b}", "0", CLAIMS, Entry(b"row", "", (1,)))

    kept = {b"switchyard:{ledger}:owners"}
    prefix = b"switchyard:{a%7Bb%7D}:ledger:"
    for key in await redis.keys():
        assert isinstance(key, bytes)
        if key.startswith((prefix + b"rows", prefix + b"totals:3", prefix + b"totals:8")):
            kept.add(key)
        elif not key.startswith(prefix + b"starts:") and key not in kept:
            assert key.startswith(prefix)
            assert await redis.ttl(key) > 0, key
    assert len(kept) == 4
    assert await redis.pttl(prefix + b"counter:60:requests") <= 61_001
    assert await redis.ttl(prefix + b"counter:period:money") <= 2e9 - time.time() + 1
    await redis.aclose()
    await ledger.aclose()
