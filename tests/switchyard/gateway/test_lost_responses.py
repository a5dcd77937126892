"""Responses whose gateway was lost, or whose store is away: one charge, and to no tenant another's response."""

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from switchyard.store.contract import StoreError
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Entry
from switchyard.store.recordings.contract import SupersededError
from tests.switchyard.gateway.conftest import Bench, until
from tests.switchyard.gateway.quota.limited import tenants
from tests.switchyard.gateway.recordings.recorded import Steps, flaky, gateways, lose, numbered, recordings, sent
from tests.switchyard.gateway.tenants.access import KEYS

KEY = {"idempotency-key": "one"}
PATH = "/v1/chat/completions"
CHAT: dict[str, Any] = {"model": "chat", "messages": []}
STREAM = {**CHAT, "stream": True}
ACME = {"authorization": f"Bearer {KEYS['acme']}"}
GLOBEX = {"authorization": f"Bearer {KEYS['globex']}"}


def ready() -> Steps:
    steps = Steps()
    steps.go(4 * steps.all)
    return steps


async def code(bench: Bench, body: Any = CHAT, **headers: str) -> tuple[int, str]:
    response = await bench.http.post(PATH, json=body, headers={**KEY, **headers})
    return response.status_code, "" if response.is_success else response.json()["error"]["code"]


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "stream"])
async def test_a_lost_response_is_told_once_and_then_made_anew(tmp_path: Path, body: Any) -> None:
    steps = ready()
    async with gateways(tmp_path, steps) as (bench,), recordings(tmp_path) as store:
        await lose(store, PATH, body)
        first = await bench.http.post(PATH, json=body, headers=KEY)
        assert (first.status_code, first.json()["error"]["code"]) == (409, "idempotency_unknown")
        assert first.headers["retry-after"] == "1"
        assert "it began 0 s ago, and 0 bytes of it were kept" in first.json()["error"]["message"]
        assert steps.begun == 0
        assert [await code(bench, body), await code(bench, body)] == [(200, ""), (200, "")]

    assert steps.begun == 1


async def test_another_request_with_the_key_of_a_lost_one_is_rejected(tmp_path: Path) -> None:
    async with gateways(tmp_path, ready()) as (bench,), recordings(tmp_path) as store:
        await lose(store, PATH, CHAT)
        assert await code(bench, STREAM) == (422, "idempotency_mismatch")


@pytest.mark.parametrize(
    "limits", [(), ({"limit": "requests", "most": 100, "per": "day"},)], ids=["metered", "limited"]
)
@pytest.mark.parametrize("settled", [True, False], ids=["charged-before", "not-charged"])
async def test_a_lost_attempt_and_the_next_one_are_charged_once(
    tmp_path: Path, limits: tuple[dict[str, Any], ...], settled: bool
) -> None:
    steps, ledger = ready(), open_ledger(f"sqlite://{tmp_path}/store.db")
    async with (
        gateways(tmp_path, steps, tenants=await tenants(tmp_path, *limits)) as (bench,),
        recordings(tmp_path) as store,
    ):
        lost = await lose(store, PATH, CHAT, scope="tenant:acme")
        if settled:
            await ledger.settle("acme", lost, (), Entry(orjson.dumps({"id": lost}), "", (1,)))
        assert [(await code(bench, **ACME))[0] for _ in range(3)] == [409, 200, 200]
        rows = [orjson.loads(row)["id"] for _, row in await ledger.rows("acme", since=0, until=2**40)]
    await ledger.aclose()

    assert (rows, steps.begun) == ([lost], 1)


async def test_an_attempt_after_an_error_is_charged_by_itself(tmp_path: Path) -> None:
    steps, ledger = ready(), open_ledger(f"sqlite://{tmp_path}/store.db")
    async with gateways(tmp_path, steps, tenants=await tenants(tmp_path)) as (bench,):
        steps.status = 500
        assert (await code(bench, **ACME))[0] == 500
        steps.status = 200
        async with asyncio.timeout(5):
            while (await code(bench, **ACME))[0] != 200:
                await asyncio.sleep(0.01)
        rows = [orjson.loads(row)["outcome"] for _, row in await ledger.rows("acme", since=0, until=2**40)]
    await ledger.aclose()

    assert rows[-1] == "ok"
    assert rows.count("ok") == 1


async def test_joined_and_replayed_requests_take_nothing_of_a_limit(tmp_path: Path) -> None:
    steps = Steps()
    one = await tenants(tmp_path, {"limit": "requests", "most": 1, "per": "day"})
    async with gateways(tmp_path, steps, tenants=one) as (bench,), sent(bench, PATH, CHAT, KEY | ACME) as first:
        await until(lambda: steps.begun == 1)
        async with sent(bench, PATH, CHAT, KEY | ACME) as second:
            steps.go(steps.all)
            await until(lambda: first.done and second.done)
        assert (first.status, second.status, first.body) == (200, 200, second.body)
        assert await code(bench, **ACME) == (200, "")
        other = await bench.http.post(PATH, json=CHAT, headers=ACME)

    assert other.status_code == 429


@pytest.mark.parametrize("running", [True, False], ids=["running", "complete"])
@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "stream"])
async def test_two_tenants_with_equal_keys_and_requests_never_share(tmp_path: Path, body: Any, running: bool) -> None:
    steps = Steps() if running else ready()
    given = {**KEY, "x-request-id": "same"}
    async with gateways(tmp_path, steps, tenants=await tenants(tmp_path)) as (bench,):
        async with sent(bench, PATH, body, given | ACME) as first, sent(bench, PATH, body, given | GLOBEX) as second:
            await until(lambda: steps.begun == 2)
            steps.go(4 * steps.all)
            await until(lambda: first.done and second.done)
        assert "idempotency-replayed" not in second.headers
        for headers, replayed in ((ACME, first), (GLOBEX, second)):
            again = await bench.http.post(PATH, json=body, headers=given | headers)
            assert again.headers["idempotency-replayed"] == "true"
            assert again.content == replayed.body
            resumed = await bench.http.get("/v1/streams/same", headers=headers)
            assert resumed.content == replayed.body
        await bench.http.post(PATH, json=body, headers={"x-request-id": "own", "x-switchyard-resume": "true"} | ACME)
        assert (await bench.http.get("/v1/streams/own", headers=GLOBEX)).status_code == 404

    assert steps.begun == 3


@pytest.mark.parametrize("body", [CHAT, STREAM], ids=["plain", "stream"])
async def test_without_the_store_a_key_is_rejected_and_nothing_else(tmp_path: Path, body: Any) -> None:
    steps = ready()
    async with flaky(tmp_path, steps) as (bench, store):
        store.error = StoreError("away")
        assert await code(bench, body) == (503, "store_unavailable")
        assert steps.begun == 0
        resumable = await bench.http.post(PATH, json=body, headers={"x-switchyard-resume": "true"})
        assert resumable.status_code == 200
        assert b"id: " not in resumable.content
        assert (await bench.http.get("/v1/streams/some")).status_code == 503
        store.error = None
        assert await code(bench, body) == (200, "")


async def test_a_store_that_goes_away_meanwhile_disturbs_no_client(tmp_path: Path) -> None:
    steps = Steps()
    async with flaky(tmp_path, steps) as (bench, store), sent(bench, PATH, STREAM, KEY) as client:
        steps.go()
        await until(lambda: client.body == numbered(steps.events[:1]))
        store.error = StoreError("away")
        steps.go(steps.all)
        await until(lambda: client.done)
        store.error = None
        again = await bench.http.post(PATH, json=STREAM, headers=KEY)

    assert client.body == numbered([*steps.events, steps.end]) == again.content
    assert steps.begun == 1


async def test_a_gateway_that_was_taken_for_lost_ends_what_another_one_makes(tmp_path: Path) -> None:
    steps = Steps(events=[b'data: {"long": "%s"}\n\n' % (b"x" * 20_000)] * 3)
    async with flaky(tmp_path, steps) as (bench, store), sent(bench, PATH, STREAM, KEY) as client:
        await until(lambda: steps.begun == 1)
        store.error = SupersededError()
        steps.go()  # more than a segment: it is written at once
        await until(lambda: steps.left == 1 and client.done)
        assert await bench.metric('gateway_recordings_total{outcome="superseded"} 1.0')

    assert b'"code":"idempotency_unknown"' in client.body
    assert b"[DONE]" not in client.body


async def test_a_response_that_is_too_large_reaches_its_client_and_frees_its_key(tmp_path: Path) -> None:
    steps = Steps(events=[b'data: {"long": "%s"}\n\n' % (b"x" * 1024 * 1024)] * 5)
    steps.go(2 * steps.all)
    async with gateways(tmp_path, steps) as (bench,):
        for _ in range(2):
            response = await bench.http.post(PATH, json=STREAM, headers=KEY)
            assert response.content == numbered([*steps.events, steps.end])
            await until(lambda: not bench.served.recording)

    assert steps.begun == 2


async def test_a_gateway_that_closes_ends_what_runs_without_a_client(tmp_path: Path) -> None:
    steps = Steps()
    given = {**KEY, "x-switchyard-continue": "60"}
    async with gateways(tmp_path, steps) as (bench,), sent(bench, PATH, CHAT, given) as client:
        await until(lambda: steps.begun == 1)
        await client.disconnect()
    async with gateways(tmp_path, ready()) as (bench,):
        assert await code(bench) == (200, "")
