"""What every store does, held to by each of them."""

import asyncio
import time

import pytest

from switchyard.store.contract import Store, StoreError
from switchyard.store.factory import open_store

DEADLINE = 10.0


async def test_a_key_that_was_never_put_has_no_value(store: Store) -> None:
    assert await store.get("conversation:nobody") is None


@pytest.mark.parametrize("value", [b"", b"plain", bytes(range(256)), b"x" * 100_000])
async def test_a_value_comes_back_as_it_was_put(store: Store, value: bytes) -> None:
    await store.put("conversation:one", value, ttl=60)

    assert await store.get("conversation:one") == value


async def test_the_last_value_counts(store: Store) -> None:
    await store.put("conversation:one", b"old", ttl=60)
    await store.put("conversation:one", b"new", ttl=60)

    assert await store.get("conversation:one") == b"new"


@pytest.mark.parametrize(
    "other", ["one", "conversation", "conversation:one:more", "{conversation:one}", "Conversation:one"]
)
async def test_keys_that_look_alike_are_different(store: Store, other: str) -> None:
    await store.put("conversation:one", b"value", ttl=60)

    assert await store.get(other) is None


@pytest.mark.parametrize("key", ["plain", "a:b:c", "{a}:b", "späße:ключ", "with space:%7B", "a" * 500])
async def test_any_text_can_be_a_key(store: Store, key: str) -> None:
    await store.put(key, key.encode(), ttl=60)

    assert await store.get(key) == key.encode()


async def test_a_value_is_gone_when_its_time_is_over(store: Store) -> None:
    await store.put("conversation:one", b"value", ttl=0.05)
    end = time.monotonic() + DEADLINE

    while await store.get("conversation:one") is not None:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_a_new_put_gives_a_value_new_time(store: Store) -> None:
    await store.put("conversation:one", b"value", ttl=0.05)
    await store.put("conversation:one", b"value", ttl=60)
    await store.put("conversation:clock", b"", ttl=0.1)
    end = time.monotonic() + DEADLINE
    while await store.get("conversation:clock") is not None:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)

    assert await store.get("conversation:one") == b"value"


@pytest.mark.parametrize("ttl", [0, -1])
async def test_a_value_without_time_to_live_is_rejected(store: Store, ttl: float) -> None:
    with pytest.raises(ValueError, match="time to live"):
        await store.put("conversation:one", b"value", ttl=ttl)


async def test_many_at_once_all_arrive(store: Store) -> None:
    await asyncio.gather(*(store.put(f"conversation:{n}", b"%d" % n, ttl=60) for n in range(200)))

    found = await asyncio.gather(*(store.get(f"conversation:{n}") for n in range(200)))
    assert found == [b"%d" % n for n in range(200)]


async def test_two_openings_see_each_other(store: Store, url: str) -> None:
    other = open_store(url)
    try:
        await store.put("conversation:one", b"value", ttl=60)
        assert await other.get("conversation:one") == b"value"
        await other.put("conversation:one", b"changed", ttl=60)
        assert await store.get("conversation:one") == b"changed"
    finally:
        await other.aclose()


async def test_a_caller_that_gives_up_does_no_harm(store: Store) -> None:
    task = asyncio.create_task(store.put("conversation:one", b"value", ttl=60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await store.put("conversation:two", b"value", ttl=60)
    assert await store.get("conversation:two") == b"value"


async def test_a_closed_store_says_so_and_may_be_closed_again(store: Store) -> None:
    await store.put("conversation:one", b"value", ttl=60)
    await store.aclose()
    await store.aclose()

    with pytest.raises(StoreError, match="closed"):
        await store.get("conversation:one")
