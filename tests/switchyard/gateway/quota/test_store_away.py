"""What limits do while the store is away, and after it: a ledger that says so, and a Redis that is killed."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from switchyard.gateway.quota import reservations
from switchyard.store import sqlite_thread
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
        assert await metric(bench, "gateway_store_up 0.0")


async def test_no_call_waits_for_a_store_that_another_call_has_found_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_thread, "_BUSY_SECONDS", 0.3)
    path = tmp_path / "ledger.db"
    async with limited(tmp_path, f"sqlite://{path}", TWO) as bench:
        assert await statuses(bench) == [200]
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            assert await statuses(bench) == [200]
            monkeypatch.setattr(sqlite_thread, "_BUSY_SECONDS", 60.0)  # whoever waits for the store now waits too long
            async with asyncio.timeout(30):
                assert await statuses(bench, bench, bench) == [200, 200, 200]
            other.execute("ROLLBACK")
        await until_asked_again(bench)
        assert await statuses(bench) == [429]
        assert await metric(bench, "gateway_store_up 1.0")


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
    monkeypatch.setattr(reservations, "_AWAY_SECONDS", 0.01)
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
        counted = await until_asked_again(first) + await until_asked_again(second)
        counted += await statuses(first, second, first, second)
        assert counted.count(200) <= 2
        assert counted[-2:] == [429, 429]


async def test_gateways_whose_redis_is_killed_reject_calls_of_a_closed_limit_until_it_is_back(
    tmp_path: Path, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "_AWAY_SECONDS", 0.01)
    closed = {**TWO, "most": 3, "without_store": "closed"}
    async with limited(tmp_path, redis_server.url, closed) as bench:
        assert await statuses(bench) == [200]
        redis_server.stop()
        assert await statuses(bench, bench) == [503, 503]
        await redis_server.restart()
        assert await until_asked_again(bench) == [200]
        assert await statuses(bench) == [200]


async def until_asked_again(bench: Bench) -> list[int]:
    """Wait until the gateway asks the store again; return the status of the first call for which it did."""
    async with asyncio.timeout(30):
        while True:
            response = await bench.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS)
            if "x-ratelimit-limit-requests" in response.headers:
                return [response.status_code]
            await asyncio.sleep(0.02)


async def statuses(*gateways: Bench) -> list[int]:
    """The statuses of a chat of acme by each of them, one after the other."""
    asked = [await one.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS) for one in gateways]
    return [response.status_code for response in asked]
