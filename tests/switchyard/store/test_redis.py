import asyncio

import pytest

from switchyard.store.contract import StoreError
from switchyard.store.redis import RedisStore, tagged
from tests.switchyard.store.conftest import DEADLINE, RedisServer


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("conversation:abc", "switchyard:{conversation}:abc"),
        ("tenant:a:quota", "switchyard:{tenant:a}:quota"),
        ("plain", "switchyard:{plain}"),
        ("a{b}:c", "switchyard:{a%7Bb%7D}:c"),
    ],
)
def test_keys_of_one_owner_share_a_hash_tag(key: str, written: str) -> None:
    assert tagged(key) == written


async def test_a_server_that_is_gone_is_an_error_at_once(redis_server: RedisServer) -> None:
    store = RedisStore(redis_server.url)
    await store.put("conversation:one", b"value", ttl=60)
    redis_server.stop()

    async with asyncio.timeout(DEADLINE):
        with pytest.raises(StoreError, match="Redis does not respond"):
            await store.get("conversation:one")
        with pytest.raises(StoreError, match="Redis does not respond"):
            await store.put("conversation:one", b"value", ttl=60)
    await store.aclose()
