"""What a response from the cache counts for limits and on the bill."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.switchyard.gateway.cache.cached import GREEDY, Counted, ask, result, tenants
from tests.switchyard.gateway.conftest import Bench, until
from tests.switchyard.gateway.recordings.recorded import gateways
from tests.switchyard.gateway.tenants.access import KEYS

STREAM = {**GREEDY, "stream": True, "stream_options": {"include_usage": True}}
OF_ADMIN = {"authorization": f"Bearer {KEYS['scraper']}"}


def limits(**most: int) -> list[dict[str, Any]]:
    return [{"limit": unit, "most": count, "per": "day"} for unit, count in most.items()]


async def rows(bench: Bench) -> list[dict[str, Any]]:
    response = await bench.http.get("/v1/organization/usage/rows?start_time=1&limit=100", headers=OF_ADMIN)
    found: list[dict[str, Any]] = response.json()["data"]
    return found


def charged(row: dict[str, Any]) -> tuple[int, int, int]:
    return row["prompt_tokens"], row["completion_tokens"], round(row["nano_dollars"] / 1e9)


@pytest.mark.parametrize(
    ("hits", "limited", "expected"),
    [
        ("requests", True, [(7, 3, 10), (0, 0, 0)]),
        ("requests", False, [(7, 3, 10), (0, 0, 0)]),
        ("tokens", True, [(7, 3, 10), (7, 3, 10)]),
        ("tokens", False, [(7, 3, 10), (7, 3, 10)]),
        ("nothing", True, [(7, 3, 10)]),
    ],
)
@pytest.mark.parametrize("payload", [GREEDY, STREAM])
async def test_a_hit_is_on_the_bill_as_its_tenants_cache_says(
    payload: dict[str, Any], hits: str, limited: bool, expected: list[tuple[int, int, int]], tmp_path: Path
) -> None:
    acme = {"cache": {"hits": hits}, **({"limits": limits(requests=100, tokens=100_000)} if limited else {})}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, acme)) as (bench,):
        assert [result(await ask(bench, payload)) for _ in range(2)] == [(200, "miss"), (200, "hit")]
        found = sorted(await rows(bench), key=lambda row: row["time"])
    assert [charged(row) for row in found] == expected
    assert {row["outcome"] for row in found} == {"ok"}


async def test_hits_take_requests_of_a_limit_and_no_tokens(tmp_path: Path) -> None:
    acme = {"cache": {}, "limits": limits(requests=3, tokens=40)}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, acme)) as (bench,):
        payload = {**GREEDY, "max_tokens": 3}
        found = [await ask(bench, payload) for _ in range(4)]
    assert [result(one) for one in found[:3]] == [(200, "miss"), (200, "hit"), (200, "hit")]
    assert found[3].status_code == 429
    assert "requests" in found[3].json()["error"]["message"]


async def test_hits_go_on_when_the_tokens_of_a_day_are_used_up(tmp_path: Path) -> None:
    acme = {"cache": {}, "limits": limits(tokens=5)}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, acme)) as (bench,):
        payload = {**GREEDY, "max_tokens": 1}
        assert result(await ask(bench, payload)) == (200, "miss")  # takes ten
        assert (await ask(bench, {**payload, "seed": 1})).status_code == 429
        assert result(await ask(bench, payload)) == (200, "hit")


async def test_hits_that_count_tokens_take_those_of_the_response(tmp_path: Path) -> None:
    acme = {"cache": {"hits": "tokens"}, "limits": limits(tokens=25)}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, acme)) as (bench,):
        payload = {**GREEDY, "max_tokens": 1}
        assert [(await ask(bench, payload)).status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(("hits", "second"), [("requests", (0, 0, 0)), ("tokens", (7, 3, 10))])
async def test_one_generation_is_charged_once_and_who_joined_as_a_hit(
    hits: str, second: tuple[int, int, int], tmp_path: Path
) -> None:
    model = Counted()
    model.open.clear()
    acme = {"cache": {"hits": hits}, "limits": limits(requests=100, tokens=100_000)}
    async with gateways(tmp_path, model, tenants=await tenants(tmp_path, acme)) as (bench,):
        asking = [asyncio.create_task(ask(bench))]
        await until(lambda: model.asked == 1)
        asking.append(asyncio.create_task(ask(bench)))
        joined = "gateway_requests_in_flight 3.0"
        while joined not in (await bench.http.get("/metrics", headers=OF_ADMIN)).text.splitlines():  # with this one
            if "gateway_requests_in_flight 2.0" in (await bench.http.get("/metrics", headers=OF_ADMIN)).text:
                break
        model.open.set()
        found = [await one for one in asking]
        assert [result(one) for one in found] == [(200, "miss"), (200, "joined")]
        assert sorted(charged(row) for row in await rows(bench)) == sorted([(7, 3, 10), second])
