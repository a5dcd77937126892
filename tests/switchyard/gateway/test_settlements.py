"""What calls took is written, also where the store was away when they ended."""

import asyncio
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from switchyard.gateway import settlements as module
from switchyard.gateway.settlements import Settlements
from switchyard.store.ledger import Claim, Entry
from switchyard.telemetry.metrics.gateway import UsageMetrics
from tests.switchyard.gateway.conftest import gateway
from tests.switchyard.gateway.quota.limited import HEADERS, Away, counting, ledger, metric, tenants

CLAIM = Claim("tenant tokens", 5, 100, "rolling", seconds=60)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_SECONDS", 0.02)


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Away]:
    async with ledger(f"sqlite://{tmp_path}/ledger.db") as opened:
        yield Away(opened)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def settlements(away: Away, registry: CollectorRegistry) -> AsyncIterator[Settlements]:
    made = Settlements(away, UsageMetrics(registry))
    yield made
    await made.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def rows(away: Away) -> list[bytes]:
    return [row for _, row in await away.rows("acme", since=0, until=2**40)]


def lost(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["usage"] for record in caplog.records if record.levelno == logging.ERROR]


async def test_what_the_store_did_not_take_is_written_once_when_it_is_back(
    away: Away, settlements: Settlements, registry: CollectorRegistry
) -> None:
    away.away = True
    for number in range(3):
        await settlements.settle("acme", str(number), [CLAIM], Entry(b"row %d" % number, "", (1,)))
    assert await rows(away) == []
    assert registry.get_sample_value("gateway_usage_waiting") == 3
    away.away = False
    await until(lambda: registry.get_sample_value("gateway_usage_waiting") == 0)
    await settlements.settle("acme", "3", [CLAIM], Entry(b"row 3", "", (1,)))
    assert await rows(away) == [b"row 0", b"row 1", b"row 2", b"row 3"]
    assert registry.get_sample_value("gateway_usage_waiting") == 0
    outcome = await away.reserve("acme", "asking", [CLAIM], lease=1)
    assert outcome.levels[0].used == 5 * 5


async def test_the_store_is_up_until_it_takes_nothing_and_again_once_it_does(
    away: Away, settlements: Settlements, registry: CollectorRegistry
) -> None:
    assert registry.get_sample_value("gateway_store_up") == 1
    away.away = True
    await settlements.settle("acme", "0", [CLAIM], None)
    assert registry.get_sample_value("gateway_store_up") == 0
    away.away = False
    await until(lambda: registry.get_sample_value("gateway_store_up") == 1)


async def test_what_a_cancelled_caller_wanted_written_is_written_once(
    tmp_path: Path, away: Away, settlements: Settlements
) -> None:
    await settlements.settle("acme", "first", [CLAIM], Entry(b"row 1", "", (1,)))
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(settlements.settle("acme", "second", [CLAIM], Entry(b"row 2", "", (1,))))
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
        other.execute("COMMIT")
    async with asyncio.timeout(20):
        while await rows(away) != [b"row 1", b"row 2"]:
            await asyncio.sleep(0.01)
    await settlements.aclose()
    assert await rows(away) == [b"row 1", b"row 2"]
    outcome = await away.reserve("acme", "asking", [CLAIM], lease=1)
    assert outcome.levels[0].used == 3 * 5


async def test_more_than_can_wait_is_logged_and_counted(
    away: Away,
    settlements: Settlements,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    away.away = True
    with caplog.at_level(logging.ERROR):
        for number in range(3):
            await settlements.settle("acme", str(number), [], Entry(b"row %d" % number, "", (1,)))
    assert lost(caplog) == ["row 2"]
    assert registry.get_sample_value("gateway_usage_unwritten_total") == 1
    away.away = False
    await until(lambda: len(away.settled) == 2)


async def test_a_gateway_that_stops_writes_what_waits_and_logs_what_it_cannot_write(
    away: Away, settlements: Settlements, caplog: pytest.LogCaptureFixture
) -> None:
    away.away = True
    await settlements.settle("acme", "one", [], Entry(b"first", "", (1,)))
    away.away = False
    await settlements.aclose()
    assert await rows(away) == [b"first"]
    away.away = True
    await settlements.settle("acme", "two", [], Entry(b"second", "", (1,)))
    with caplog.at_level(logging.ERROR):
        await settlements.aclose()
    assert lost(caplog) == ["second"]


@pytest.mark.parametrize("limits", [[], [{"limit": "tokens", "most": 1000, "per": "minute"}]], ids=["free", "limited"])
async def test_a_call_that_ran_while_the_store_was_away_is_on_the_bill(
    tmp_path: Path, away: Away, limits: list[dict[str, object]]
) -> None:
    async with gateway(tmp_path, counting(3, 4), tenants=await tenants(tmp_path, *limits), ledger=away) as bench:
        away.away = True
        bench.http.headers.update(HEADERS)
        assert (await bench.chat()).status_code == 200
        away.away = False
        await until(lambda: len(away.settled) == 1)
        (row,) = map(json.loads, await rows(away))
        assert await metric(bench, "gateway_usage_waiting 0.0")
        assert (row["outcome"], row["prompt_tokens"], row["completion_tokens"]) == ("ok", 3, 4)


async def test_a_call_that_cannot_be_settled_keeps_none_after_it_from_being_so(
    settlements: Settlements, away: Away, caplog: pytest.LogCaptureFixture
) -> None:
    away.away = True
    await settlements.settle("acme", "bad", [CLAIM._replace(amount=2**60)], Entry(b"bad", "x", (1,)))
    await settlements.settle("acme", "good", [CLAIM], Entry(b"good", "x", (1,)))
    away.away = False
    await until(lambda: not settlements.waiting)
    assert await rows(away) == [b"good"]
    assert "a call cannot be settled" in caplog.text
