"""Two gateways on a Redis that loses its last changes: both follow what it has then, whatever they knew."""

import logging
from collections.abc import AsyncIterator

import pytest

from switchyard.gateway.keys.stored_key import new_key, revoked, rotated
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.tenants.keys import digest
from switchyard.store.factory import open_records
from tests.switchyard.store.conftest import RedisServer

NOW = 1_800_000_000


@pytest.fixture
async def gateways(redis_server: RedisServer) -> AsyncIterator[list[StoredKeys]]:
    opened = [StoredKeys(open_records(redis_server.url), now=lambda: NOW) for _ in range(2)]
    yield opened
    for one in opened:
        await one.aclose()


async def create(keys: StoredKeys, key_id: str) -> str:
    key, secret = new_key(key_id, key_id, "acme", "", ["use"], now=NOW, ends=None)
    await keys.create(key)
    return secret


async def revoke(keys: StoredKeys, key_id: str) -> None:
    await keys.change(key_id, lambda key: (revoked(key, now=NOW), None))


async def start_from_snapshot(server: RedisServer) -> None:
    server.stop()
    await server.restart()


async def valid(gateways: list[StoredKeys], secret: str) -> list[bool]:
    for one in gateways:
        await one.refresh()
    found = [one.find(digest(secret.encode())) for one in gateways]
    return [one is not None and one[0].revoked is None for one in found]


async def test_a_key_that_is_revoked_after_a_loss_is_valid_nowhere(
    gateways: list[StoredKeys], redis_server: RedisServer
) -> None:
    secret = await create(gateways[0], "kept")
    await redis_server.snapshot()
    lost = await create(gateways[0], "lost")
    assert await valid(gateways, secret) == await valid(gateways, lost) == [True, True]

    await start_from_snapshot(redis_server)
    await revoke(gateways[0], "kept")  # it has the revision that the lost key had
    assert await valid(gateways, secret) == await valid(gateways, lost) == [False, False]


async def test_keys_that_a_loss_makes_valid_again_are_named_once(
    gateways: list[StoredKeys], redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    one, _ = gateways
    leaked = await create(one, "leaked")
    for key_id in ("replaced", "other", "ended-before"):
        await create(one, key_id)
    await revoke(one, "ended-before")
    await redis_server.snapshot()
    await revoke(one, "leaked")
    await one.change("replaced", lambda key: rotated(key, now=NOW + 1, overlap=0))
    await create(one, "lost")
    assert await valid(gateways, leaked) == [False, False]

    await start_from_snapshot(redis_server)
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            assert await valid(gateways, leaked) == [True, True]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert [line.rpartition(": ")[2] for line in said] == ["leaked, replaced"] * len(gateways)
