"""Limits that are held without the store: each gateway has its part, and days are charged when the store is back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from switchyard.gateway import settlements
from switchyard.gateway.quota import local_shares, reservations
from tests.switchyard.gateway.conftest import Bench, Call, completion, gateway, until
from tests.switchyard.gateway.quota.limited import HEADERS, Away, ledger, metric, tenants
from tests.switchyard.gateway.quota.test_store_away import CHAT, statuses, until_asked_again

A_DAY = {"limit": "requests", "most": 12, "per": "day", "without_store": "local"}


@pytest.fixture(autouse=True)
def asked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is asked again at once, and counts gateways all the time."""
    monkeypatch.setattr(reservations, "_AWAY_SECONDS", 0.01)
    monkeypatch.setattr(local_shares, "_COUNT_SECONDS", 0.01)


class Sharing:
    """Gateways on one store, each by a ledger that can be away."""

    def __init__(self) -> None:
        self.gateways: list[Bench] = []
        self.ledgers: list[Away] = []

    def away(self, away: bool) -> None:
        for one in self.ledgers:
            one.away = away

    async def until_known(self) -> None:
        """Waits until each gateway knows of all."""
        line = f"gateway_store_gateways {float(len(self.gateways))}"
        async with asyncio.timeout(30):
            for bench in self.gateways:
                while not await metric(bench, line):
                    await asyncio.sleep(0.01)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as made:
        yield made


async def sharing(
    stack: AsyncExitStack, folder: Path, url: str, count: int, *limits: dict[str, Any], script: Any = completion
) -> Sharing:
    """So many gateways whose tenant acme has ``limits``, each of which has had a call of acme."""
    file, made = await tenants(folder, *limits), Sharing()
    for number in range(count):
        (folder / str(number)).mkdir()
        away = Away(await stack.enter_async_context(ledger(url)))
        bench = await stack.enter_async_context(gateway(folder / str(number), script, tenants=file, ledger=away))
        made.ledgers.append(away)
        made.gateways.append(bench)
    return made


async def test_gateways_share_what_is_left_of_a_day_and_charge_it_when_the_store_is_back(
    tmp_path: Path, url: str, stack: AsyncExitStack
) -> None:
    made = await sharing(stack, tmp_path, url, 2, A_DAY)
    first, second = made.gateways
    assert await statuses(first, second) == [200, 200]
    await made.until_known()
    made.away(True)
    # The first knows of one call, and so of 11 that are left, the second of 10.
    assert await statuses(*[first] * 8) == [200] * 6 + [503] * 2
    assert await statuses(*[second] * 7) == [200] * 5 + [503] * 2
    response = await first.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS)
    assert response.json()["error"]["code"] == "limits_unknown"
    made.away(False)
    await until(lambda: sum(len(one.settled) for one in made.ledgers) == 2 + 6 + 5, 30)
    assert await until_asked_again(second) == [429]
    response = await second.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS)
    assert response.status_code == 429
    assert "and 13 are taken" in response.json()["error"]["message"]


async def left_of(bench: Bench) -> int:
    """What the store tells of acme's budget, once nothing waits for it."""
    await until_asked_again(bench)
    async with asyncio.timeout(30):
        while not await metric(bench, "gateway_usage_waiting 0.0"):
            await asyncio.sleep(0.01)
    response = await bench.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS)
    return int(response.headers["x-ratelimit-remaining-requests"])


async def test_each_outage_of_a_day_shares_what_is_left_then(tmp_path: Path, url: str, stack: AsyncExitStack) -> None:
    made = await sharing(stack, tmp_path, url, 2, {**A_DAY, "most": 100})
    first, second = made.gateways
    assert await statuses(first, second) == [200, 200]
    await made.until_known()
    for _ in range(3):
        made.away(True)
        assert await statuses(*[first, second] * 8) == [200] * 16
        made.away(False)
        for bench in made.gateways:
            await left_of(bench)
    for bench in made.gateways:
        left = await left_of(bench)
        made.away(True)
        assert (await statuses(*[bench] * (left // 2 + 3))).count(200) == -(-left // 2)
        made.away(False)


async def test_a_call_of_an_earlier_outage_that_still_runs_counts(
    tmp_path: Path, url: str, stack: AsyncExitStack
) -> None:
    go_on = asyncio.Event()

    async def script(call: Call) -> None:
        if len(only.model.calls) == 2:
            await go_on.wait()
        await completion(call)

    made = await sharing(stack, tmp_path, url, 1, A_DAY, script=script)
    (only,) = made.gateways
    assert await statuses(only) == [200]
    await made.until_known()
    made.away(True)
    running = asyncio.create_task(statuses(only))
    await until(lambda: len(only.model.calls) == 2, 30)
    assert await statuses(only, only) == [200, 200]
    made.away(False)
    left = await left_of(only)
    made.away(True)
    assert (await statuses(*[only] * 12)).count(200) == left - 1
    go_on.set()
    assert await running == [200]


async def test_calls_of_an_earlier_outage_that_the_store_does_not_know_yet_count(
    tmp_path: Path, url: str, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlements, "AGAIN_SECONDS", 60.0)
    made = await sharing(stack, tmp_path, url, 1, A_DAY)
    (only,) = made.gateways
    assert await statuses(only) == [200]
    await made.until_known()
    made.away(True)
    assert await statuses(only, only, only) == [200] * 3
    made.away(False)
    assert await until_asked_again(only) == [200]
    made.away(True)
    assert (await statuses(*[only] * 12)).count(200) <= 12 - 1 - 3 - 1


async def test_a_budget_that_was_used_up_stays_so(tmp_path: Path, url: str, stack: AsyncExitStack) -> None:
    made = await sharing(stack, tmp_path, url, 1, {**A_DAY, "most": 1})
    (only,) = made.gateways
    assert await statuses(only, only) == [200, 429]
    await made.until_known()
    made.away(True)
    assert await statuses(only) == [503]


async def test_a_gateway_that_does_not_know_its_part_rejects(tmp_path: Path, url: str, stack: AsyncExitStack) -> None:
    made = await sharing(stack, tmp_path, url, 1, A_DAY)
    made.away(True)
    assert await statuses(*made.gateways) == [503]
    made.away(False)
    assert await until_asked_again(*made.gateways) == [200]


async def test_a_part_of_a_minute_is_counted_here_alone(tmp_path: Path, url: str, stack: AsyncExitStack) -> None:
    made = await sharing(
        stack, tmp_path, url, 2, {"limit": "requests", "most": 5, "per": "minute", "without_store": "local"}
    )
    first, second = made.gateways
    assert await statuses(first, second) == [200, 200]
    await made.until_known()
    made.away(True)
    assert await statuses(*[first] * 4) == [200, 200, 200, 503]
    made.away(False)
    await until(lambda: len(made.ledgers[0].settled) == 1 + 3, 30)
    assert await until_asked_again(first) + await statuses(first, first, first) == [200, 200, 200, 429]


async def test_a_part_of_calls_at_once_is_given_back_when_a_call_ends(
    tmp_path: Path, url: str, stack: AsyncExitStack
) -> None:
    go_on = asyncio.Event()
    go_on.set()

    async def wait(call: Call) -> None:
        await go_on.wait()
        await completion(call)

    limit = {"limit": "in_flight", "most": 1, "without_store": "local"}
    made = await sharing(stack, tmp_path, url, 1, limit, script=wait)
    (only,) = made.gateways
    assert await statuses(only) == [200]
    await made.until_known()
    made.away(True)
    go_on.clear()
    running = asyncio.create_task(statuses(only))
    await until(lambda: len(only.model.calls) == 2, 30)
    assert await statuses(only) == [503]
    go_on.set()
    assert await running == [200]
    assert await statuses(only) == [200]


async def test_what_a_gateway_that_ends_had_goes_to_the_others(tmp_path: Path, url: str, stack: AsyncExitStack) -> None:
    made = await sharing(stack, tmp_path, url, 1, {**A_DAY, "most": 13})
    (tmp_path / "other").mkdir()
    async with ledger(url) as opened:
        file = await tenants(tmp_path / "other", {**A_DAY, "most": 13})
        async with gateway(tmp_path / "other", tenants=file, ledger=opened) as other:
            assert await statuses(other, *made.gateways) == [200, 200]
            (only,) = made.gateways
            await until_shared_by(only, 2)
    await until_shared_by(only, 1)
    made.away(True)
    assert (await statuses(*[only] * 12)).count(200) == 11


async def until_shared_by(bench: Bench, count: int) -> None:
    async with asyncio.timeout(30):
        while not await metric(bench, f"gateway_store_gateways {float(count)}"):
            await asyncio.sleep(0.01)


async def test_what_an_open_limit_lets_through_counts_for_the_day_when_the_store_is_back(
    tmp_path: Path, url: str, stack: AsyncExitStack
) -> None:
    a_minute = {"limit": "requests", "most": 2, "per": "minute"}
    made = await sharing(stack, tmp_path, url, 1, {**A_DAY, "most": 3, "without_store": "open"}, a_minute)
    (only,) = made.gateways
    made.away(True)
    assert await statuses(*[only] * 4) == [200] * 4
    made.away(False)
    (away,) = made.ledgers
    await until(lambda: len(away.settled) == 4, 30)
    assert [amounts for _, amounts in away.settled] == [{"requests": 1}] * 4
    assert await until_asked_again(only) == [429]
    response = await only.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS)
    assert (response.status_code, response.json()["error"]["code"]) == (429, "insufficient_quota")
