"""Every call of a tenant is in the ledger once, and whoever may see it finds it in OpenAI's shape."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import yaml

from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.usage.entries import FIELDS, dimensions, read_dimensions
from switchyard.gateway.usage.hours import entries
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Entry, Ledger
from tests.switchyard.gateway.conftest import Bench, Call, gateway
from tests.switchyard.gateway.tenants.access import KEYS, document

PRICES = [{"models": ["chat"], "input": "0.15", "output": "0.6"}, {"models": ["ocr"], "inference": "0.001"}]
CHAT = {"model": "chat", "messages": [{"role": "user", "content": "a secret"}]}
COUNTED = {"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 40}}
DAY = 86400
Rows = list[dict[str, Any]]


def by(name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[name]}"}


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    opened = open_ledger(f"sqlite://{tmp_path}/ledger.db")
    yield opened
    await opened.aclose()


@pytest.fixture
async def bench(tmp_path: Path, ledger: Ledger) -> AsyncIterator[Bench]:
    """acme has limits, and globex none: both are counted."""
    said: dict[str, Any] = {**document(), "prices": PRICES}
    limits = [{"limit": unit, "most": 10**6, "per": "minute"} for unit in ("requests", "tokens")]
    said["tenants"][0]["limits"] = limits
    path = tmp_path / "tenants.yaml"
    path.write_text(yaml.safe_dump(said))
    tenants = TenantsFile(path)
    await tenants.load()

    async def script(call: Call) -> None:
        await call.answer({"choices": [], "text": "LIDL", "usage": COUNTED})

    async with gateway(tmp_path, script, tenants=tenants, ledger=ledger) as bench:
        yield bench


@pytest.fixture
def settled(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[Claim]:
    """What was charged to limits."""
    found: list[Claim] = []
    settle = ledger.settle

    async def watched(owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None) -> Any:
        found.extend(claims)
        return await settle(owner, call_id, claims, entry)

    monkeypatch.setattr(ledger, "settle", watched)
    return found


async def rows(ledger: Ledger, tenant: str = "acme") -> Rows:
    found = await ledger.rows(tenant, since=0, until=2**40)
    return [json.loads(row) for _, row in found]


async def report(bench: Bench, path: str, key: str, **query: Any) -> Rows:
    """The results of today's bucket."""
    asked = {"start_time": int(time.time()) - DAY, **query}
    response = await bench.http.get(f"/v1/organization/{path}", params=asked, headers=by(key))
    assert response.status_code == 200, response.text
    return [result for bucket in response.json()["data"] for result in bucket["results"]]


async def test_a_call_has_a_row_that_says_who_what_and_how_much_and_nothing_that_was_said(
    bench: Bench, ledger: Ledger
) -> None:
    headers = {**by("acme"), "x-request-id": "mine"}
    for _ in range(2):
        assert (await bench.http.post("/v1/chat/completions", json=CHAT, headers=headers)).status_code == 200
    first, second = await rows(ledger)
    assert first["id"] != second["id"]
    assert first["seconds"] >= 0
    assert abs(first["time"] - time.time()) < 60
    assert {name: value for name, value in first.items() if name not in ("id", "seconds", "time")} == {
        "request_id": "mine",
        "tenant": "acme",
        "team": "",
        "api_key_id": "acme-key",
        "model": "chat",
        "adapter": "",
        "route": "/v1/chat/completions",
        "tier": "",
        "prompt_tokens": 100,
        "cached_tokens": 40,
        "completion_tokens": 10,
        "reasoning_tokens": 0,
        "inferences": 0,
        "pixels": 0,
        "estimated": False,
        "outcome": "ok",
        "nano_dollars": 100 * 150 + 10 * 600,
    }
    assert "secret" not in json.dumps([first, second])
    assert {name: type(value) for name, value in first.items()} == FIELDS


async def test_the_entry_is_there_when_the_client_has_the_response(bench: Bench, ledger: Ledger) -> None:
    for number in range(1, 6):
        await bench.http.post("/v1/chat/completions", json=CHAT, headers=by("acme"))
        assert len(await rows(ledger)) == number


async def test_what_an_engine_counts_wrongly_is_estimated_alike_for_the_bill_and_for_limits(
    bench: Bench, ledger: Ledger, settled: list[Claim]
) -> None:
    async def script(call: Call) -> None:
        await call.answer({"text": "x" * 400, "usage": {"prompt_tokens": -1, "completion_tokens": 2}})

    bench.model.script = script
    assert (await bench.http.post("/v1/chat/completions", json=CHAT, headers=by("acme"))).status_code == 200
    (row,) = await rows(ledger)
    assert row["estimated"]
    assert row["completion_tokens"] > 100
    assert row["nano_dollars"] == row["prompt_tokens"] * 150 + row["completion_tokens"] * 600
    taken = {claim.counter.split()[1]: claim.amount for claim in settled}
    assert taken["tokens"] == row["prompt_tokens"] + row["completion_tokens"]


async def test_an_error_is_counted_and_costs_nothing(bench: Bench, ledger: Ledger) -> None:
    async def script(call: Call) -> None:
        await call.answer({"error": {"message": "no"}, "usage": COUNTED}, 400)

    bench.model.script = script
    assert (await bench.http.post("/v1/chat/completions", json=CHAT, headers=by("acme"))).status_code == 400
    (row,) = await rows(ledger)
    assert (row["outcome"], row["prompt_tokens"], row["nano_dollars"]) == ("error", 0, 0)


async def test_a_model_that_cannot_be_reached_is_an_error(bench: Bench, ledger: Ledger) -> None:
    bench.put("chat", url="http://127.0.0.1:1")
    assert (await bench.http.post("/v1/chat/completions", json=CHAT, headers=by("acme"))).status_code == 503
    assert [row["outcome"] for row in await rows(ledger)] == ["error"]


async def test_a_stream_that_its_client_cuts_is_charged_once_for_what_was_seen(bench: Bench, ledger: Ledger) -> None:
    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' * 2)
        await call.disconnected()

    bench.model.script = script
    async with (
        httpx.AsyncClient(base_url=bench.url, headers=by("acme")) as client,
        client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response,
    ):
        await anext(response.aiter_bytes())
    async with asyncio.timeout(5):
        while not (found := await rows(ledger)):
            await asyncio.sleep(0.01)
    assert [(row["outcome"], row["completion_tokens"], row["estimated"]) for row in found] == [("cancelled", 2, True)]
    assert found[0]["nano_dollars"] > 0


async def test_what_asks_no_model_is_not_on_the_bill(bench: Bench, ledger: Ledger) -> None:
    for path in ("/v1/models", "/v2/models/chat", "/health"):
        await bench.http.get(path, headers=by("admin"))
    assert await rows(ledger) == []


async def test_tenants_see_their_own_and_admins_all(bench: Bench) -> None:
    for key in ("acme", "acme", "globex"):
        await bench.http.post("/v1/chat/completions", json=CHAT, headers=by(key))
    (own,) = await report(bench, "usage/completions", "acme", group_by="project_id")
    assert (own["project_id"], own["num_model_requests"], own["input_tokens"]) == ("acme", 2, 200)
    assert await report(bench, "usage/completions", "acme", project_ids="globex") == []
    seen = await report(bench, "usage/completions", "admin", group_by="project_id")
    assert {(result["project_id"], result["output_tokens"]) for result in seen} == {("acme", 20), ("globex", 10)}
    (one,) = await report(bench, "usage/completions", "admin", project_ids=["globex"])
    assert (one["project_id"], one["input_cached_tokens"]) == (None, 40)


async def test_costs_add_up_by_key_and_model(bench: Bench) -> None:
    await bench.http.post("/v1/chat/completions", json=CHAT, headers=by("acme"))
    for key in ("acme", "team"):
        image = await bench.http.post("/v1/ocr", content=b"x", headers={**by(key), "content-type": "image/png"})
        assert image.status_code == 200
    (total,) = await report(bench, "costs", "acme")
    assert total["amount"]["nano_dollars"] >= 21_000
    found = await report(bench, "costs", "acme", group_by=["line_item", "api_key_id"])
    costs = {(one["line_item"], one["api_key_id"]): one["amount"]["nano_dollars"] for one in found}
    assert costs[("chat", "acme-key")] == 21_000
    assert sum(costs.values()) == total["amount"]["nano_dollars"]
    (images,) = await report(bench, "usage/images", "acme", models="ocr", api_key_ids="team-key")
    assert images["num_model_requests"] == 1


async def test_hours_are_of_admins_alone_and_shares_of_their_tenants(bench: Bench, ledger: Ledger) -> None:
    now = int(time.time())
    called = dimensions("completions", "", "acme-key", "chat", "chat")
    await ledger.settle("acme", "share", (), entries.charge("share", "acme", called, now, 700))
    await ledger.settle(OWNER, "idle", (), entries.idle(now, "chat", 300, 1_800_000, 3_600_000))
    of_platform, share = await report(bench, "costs", "admin"), await report(bench, "costs", "acme")
    assert [one["amount"]["nano_dollars"] for one in share] == [700]
    assert [(one["line_item"], one["amount"]["nano_dollars"]) for one in of_platform] == [
        (None, 700),
        ("idle chat", 300),
    ]
    idle = of_platform[1]
    assert (idle["quantity"], idle["replica_hours"], idle["project_id"]) == (0.5, 1.0, OWNER)
    assert len(await report(bench, "costs", "admin", line_items="chat")) == 1
    (row,) = await rows(ledger)
    assert {name: type(value) for name, value in row.items()} == FIELDS
    response = await bench.http.get("/v1/organization/usage/rows?start_time=0", headers=by("admin"))
    assert [one["tenant"] for one in response.json()["data"]] == ["acme"]


async def test_time_is_counted_of_calls_whose_hours_have_a_price(tmp_path: Path, ledger: Ledger) -> None:
    path = tmp_path / "tenants.yaml"
    hourly = [{"models": ["chat"], "accelerator_hour": 1}, {"models": ["embed"], "input": 1}]
    path.write_text(yaml.safe_dump({**document(), "prices": hourly}))
    tenants = TenantsFile(path)
    await tenants.load()
    async with gateway(tmp_path, tenants=tenants, ledger=ledger) as bench:
        for body in (CHAT, {"model": "embed", "input": "x"}):
            path_of = "/v1/chat/completions" if body is CHAT else "/v1/embeddings"
            assert (await bench.http.post(path_of, json=body, headers=by("globex"))).status_code == 200
    found = await ledger.totals("globex", since=0, until=2**40, width=86400)
    time_of = {read_dimensions(total.dimensions)["pool"]: total.amounts[-1] for total in found}
    assert time_of.keys() == {"chat", ""}
    assert time_of["chat"] > 0
    assert time_of[""] == 0


async def test_pages_follow_each_other_and_have_every_bucket_once(bench: Bench) -> None:
    start = int(time.time()) // 60 * 60 - 4 * 60
    query: dict[str, Any] = {"start_time": start, "end_time": start + 300, "bucket_width": "1m", "limit": 2}
    seen, page = [], None
    for _ in range(3):
        asked = query if page is None else {**query, "page": page}
        response = await bench.http.get("/v1/organization/usage/completions", params=asked, headers=by("acme"))
        body = response.json()
        seen += [bucket["start_time"] for bucket in body["data"]]
        page = body["next_page"]
        assert body["has_more"] is (page is not None)
    assert page is None
    assert seen == [start + 60 * number for number in range(5)]


async def test_the_official_client_reads_it(bench: Bench) -> None:
    await bench.http.post("/v1/chat/completions", json=CHAT, headers=by("acme"))
    key, since = KEYS["acme"], int(time.time()) - DAY
    async with openai.AsyncOpenAI(base_url=f"{bench.url}/v1", api_key=key, admin_api_key=key) as client:
        page = await client.admin.organization.usage.completions(start_time=since, group_by=["model"])
    (result,) = [one for bucket in page.data for one in bucket.results]
    assert result.object == "organization.usage.completions.result"
    assert (result.model, result.input_tokens, result.num_model_requests) == ("chat", 100, 1)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({}, "start_time"),
        ({"start_time": "x"}, "start_time"),
        ({"start_time": "-1"}, "start_time"),
        ({"start_time": "²"}, "start_time"),
        ({"start_time": 0, "limit": 0}, "limit"),
        ({"start_time": 0, "limit": 1000}, "limit"),
        ({"start_time": 0, "bucket_width": "1w"}, "bucket_width"),
        ({"start_time": 0, "group_by": "prompt"}, "group_by"),
        ({"start_time": 0, "page": "x"}, "page"),
        ({"start_time": 0, "users": "x"}, "users"),
        ({"start_time": 0, "models": ["m"] * 101}, "models"),
    ],
)
async def test_a_wrong_question_is_an_error_that_names_the_parameter(
    bench: Bench, query: dict[str, Any], param: str
) -> None:
    response = await bench.http.get("/v1/organization/usage/completions", params=query, headers=by("acme"))
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_metrics_have_tokens_by_model_and_costs_by_tenant(bench: Bench) -> None:
    await bench.http.post("/v1/chat/completions", json=CHAT, headers=by("acme"))
    lines = (await bench.http.get("/metrics", headers=by("admin"))).text.splitlines()
    assert 'gateway_tokens_total{kind="cached_input",model="chat"} 40.0' in lines
    assert 'gateway_cost_dollars_total{tenant="acme"} 2.1e-05' in lines


async def test_without_a_ledger_nothing_is_counted_and_the_report_says_so(tmp_path: Path) -> None:
    async with gateway(tmp_path) as bench:
        await bench.chat()
        assert b"x-switchyard-usage" not in bench.model.calls[0].headers
        response = await bench.http.get("/v1/organization/costs", params={"start_time": 0})
        assert response.status_code == 501
