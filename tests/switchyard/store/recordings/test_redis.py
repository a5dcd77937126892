import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import AFTER_SECONDS, FOLLOWED_SECONDS, INLINE_BYTES, Bounds, SupersededError
from switchyard.store.recordings.redis import RedisRecordings
from switchyard.store.redis_connection import Script
from tests.switchyard.store.conftest import RedisServer

DEADLINE = 20.0
BASE = b"switchyard:{recordings:a%7Bb%7D}:"


@pytest.fixture
async def recordings(redis_server: RedisServer) -> AsyncIterator[RedisRecordings]:
    """Recordings by Redis's own clock."""
    opened = RedisRecordings(redis_server.url)
    yield opened
    await opened.aclose()


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_server.url) as client:
        yield client


async def claim(
    recordings: RedisRecordings, recording: str, name: str = "key:one", lease: float = 10.0, ttl: float = 600.0
) -> bool:
    """Return whether it has begun."""
    return (
        await recordings.claim("a{b}", name, recording, b"asked", lease=lease, ttl=ttl, aliases=[f"id:{name}"]) is None
    )


async def finish(recordings: RedisRecordings, recording: str, *, complete: bool = True, ttl: float = 600.0) -> None:
    await recordings.finish("a{b}", recording, 0, b"whole", complete=complete, ttl=ttl, bounds=Bounds())


async def eventually(holds: Callable[[], Awaitable[bool]]) -> None:
    end = time.monotonic() + DEADLINE
    while not await holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def test_a_server_that_is_gone_is_an_error_and_works_when_it_is_back(
    recordings: RedisRecordings, redis_server: RedisServer
) -> None:
    await claim(recordings, "a")
    redis_server.stop()
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: claim(recordings, "b"),
        lambda: recordings.find("a{b}", "key:one"),
        lambda: recordings.follow("a{b}", "a", after=0),
        lambda: recordings.append("a{b}", "a", 0, b"first", lease=10),
        lambda: finish(recordings, "a"),
        lambda: recordings.forget("a{b}", "key:one"),
        lambda: recordings.clear("a{b}", "key"),
        lambda: recordings.held("a{b}"),
    ]
    for call in calls:
        with pytest.raises(StoreError, match="Redis does not respond"):
            await call()

    await redis_server.restart()
    with pytest.raises(SupersededError):  # it has forgotten everything, the scripts too
        await finish(recordings, "a")
    assert await claim(recordings, "c")
    await finish(recordings, "c")
    assert await recordings.find("a{b}", "key:one") is not None


async def test_each_operation_is_one_round_trip(recordings: RedisRecordings, redis: Redis) -> None:
    async def all_of(recording: str, name: str) -> None:
        await claim(recordings, recording, name)
        await recordings.append("a{b}", recording, 0, b"first", lease=10)
        await recordings.follow("a{b}", recording, after=0)
        await finish(recordings, recording)
        await recordings.find("a{b}", name)
        await recordings.held("a{b}")
        await recordings.forget("a{b}", name)
        await recordings.clear("a{b}", "key")

    await all_of("a", "key:one")
    await redis.config_resetstat()
    await all_of("b", "key:two")

    stats = await redis.info("commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 8
    assert "cmdstat_eval" not in stats


async def test_keys_of_a_scope_share_a_hash_tag_and_are_forgotten_by_themselves(
    recordings: RedisRecordings, redis: Redis
) -> None:
    await claim(recordings, "running", "key:running")
    await claim(recordings, "failed", "key:failed")
    await finish(recordings, "failed", complete=False)
    await claim(recordings, "complete", "key:complete", ttl=5)
    await finish(recordings, "complete", ttl=800)

    left = {key: await redis.pttl(key) / 1000 for key in await redis.keys() if isinstance(key, bytes)}
    assert set(left) == {
        BASE + rest
        for rest in (
            b"recording:running",
            b"recording:failed",
            b"recording:complete",
            b"name:key:running",
            b"name:id:key:running",
            b"name:key:complete",
            b"name:id:key:complete",
            b"kept:key",
            b"sizes",
        )
    }
    for key, seconds in left.items():
        most = 10 if b"failed" in key else 600 if b"running" in key else 800
        assert most - DEADLINE < seconds <= most, key


async def test_time_passes_by_the_clock_of_redis(recordings: RedisRecordings, redis: Redis) -> None:
    async def is_lost() -> bool:
        page = await recordings.find("a{b}", "key:one")
        return page is not None and page.recording.state == "lost"

    async def is_empty() -> bool:
        return not await redis.keys()

    await claim(recordings, "a", lease=0.05)
    await eventually(is_lost)
    assert await claim(recordings, "b")
    await finish(recordings, "b", ttl=0.1)
    await claim(recordings, "c", "key:two", ttl=0.1)
    await eventually(is_empty)
    assert await claim(recordings, "d")


def test_the_scripts_have_the_numbers_of_the_contract() -> None:
    text = Script("recordings").text
    [numbers] = re.findall(r"^local INLINE_BYTES, AFTER_SECONDS, FOLLOWED_SECONDS = (.+)$", text, re.MULTILINE)
    assert numbers == f"{INLINE_BYTES // 1024} * 1024, {AFTER_SECONDS:g}, {FOLLOWED_SECONDS:g}"


async def test_what_redis_has_forgotten_counts_no_more(recordings: RedisRecordings, redis: Redis) -> None:
    bounds = Bounds(recordings=3, size=100)
    for number in range(3):
        await claim(recordings, str(number), f"key:{number}")
        await recordings.finish("a{b}", str(number), 0, bytes(33), complete=True, ttl=600, bounds=bounds)
    await redis.delete(BASE + b"kept:key")  # as if it had been over, or evicted
    for number in range(3, 6):
        await claim(recordings, str(number), f"key:{number}")
        await recordings.finish("a{b}", str(number), 0, bytes(33), complete=True, ttl=600, bounds=bounds)
    assert (await recordings.held("a{b}"))["key"].recordings == 3
    assert all([await recordings.find("a{b}", f"key:{number}") for number in range(3, 6)])
    assert await redis.hget(BASE + b"sizes", "key") == b"99"
