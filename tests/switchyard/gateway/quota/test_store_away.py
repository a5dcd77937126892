"""What limits do while the store is away, and after it: a ledger that says so, and a Redis that is killed."""

import asyncio
from pathlib import Path

import pytest

from switchyard.gateway.quota import reservations
from tests.switchyard.gateway.conftest import Bench, Call, completion, gateway
from tests.switchyard.gateway.quota.limited import HEADERS, Away, ledger, limited, metric, tenants
from tests.switchyard.store.conftest import RedisServer

CHAT = {"model": "chat", "messages": [], "max_tokens": 1}
TWO = {"limit": "requests", "most": 2, "per": "minute"}


async def test_while_the_store_is_away_limits_are_open_and_it_is_asked_seldom(
    tmp_path: Path, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "_AWAY_SECONDS", 60.0)
    away.away = True
    async with gateway(tmp_path, tenants=await tenants(tmp_path, TWO), ledger=away) as bench:
        bench.http.headers.update(HEADERS)
        for _ in range(5):
            assert (await bench.chat()).status_code == 200
        assert away.reserved == 1
        assert await metric(bench, 'gateway_store_errors_total{operation="reserve"} 1.0')


async def test_a_closed_limit_rejects_while_the_store_is_away(tmp_path: Path, away: Away) -> None:
    away.away = True
    closed = await tenants(tmp_path, {**TWO, "without_store": "closed"})
    async with gateway(tmp_path, tenants=closed, ledger=away) as bench:
        bench.http.headers.update(HEADERS)
        response = await bench.chat()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "limits_unknown")
        assert response.headers["retry-after"] == "1"
        assert bench.model.calls == []


async def test_gateways_whose_redis_is_killed_let_calls_through_and_share_the_limit_again_when_it_is_back(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "_AWAY_SECONDS", 0.0)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def wait(call: Call) -> None:
        arrived.set()
        await go_on.wait()
        await completion(call)

    file = await tenants(tmp_path, TWO)
    (tmp_path / "second").mkdir()
    async with (
        ledger(redis_server.url) as one,
        ledger(redis_server.url) as other,
        gateway(tmp_path, wait, tenants=file, ledger=one) as first,
        gateway(tmp_path / "second", tenants=file, ledger=other) as second,
    ):
        in_flight = asyncio.create_task(statuses(first))
        await arrived.wait()
        redis_server.stop()
        go_on.set()
        assert await in_flight == [200]
        assert await statuses(first, second, first, second) == [200] * 4
        await redis_server.restart()
        again = await statuses(first, second, first, second)
        assert again.count(200) <= 2
        assert again[2:] == [429, 429]


async def test_gateways_whose_redis_is_killed_reject_calls_of_a_closed_limit_until_it_is_back(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "_AWAY_SECONDS", 0.0)
    closed = {**TWO, "most": 3, "without_store": "closed"}
    async with limited(tmp_path, redis_server.url, closed) as bench:
        assert await statuses(bench) == [200]
        redis_server.stop()
        assert await statuses(bench, bench) == [503, 503]
        await redis_server.restart()
        assert await statuses(bench, bench) == [200, 200]


async def statuses(*gateways: Bench) -> list[int]:
    """The statuses of a chat of acme by each of them, one after the other."""
    asked = [await one.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS) for one in gateways]
    return [response.status_code for response in asked]
