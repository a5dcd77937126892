"""Batches by OpenAI's own client: every line has one result, whatever becomes of it."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.switchyard.gateway.batches.helpers import (
    EMBEDDINGS,
    chats,
    client,
    echo,
    ended,
    line,
    results,
    said,
    submitted,
    with_batches,
)
from tests.switchyard.gateway.conftest import Bench, Call, gateway
from tests.switchyard.gateway.openapi.documents import DOCUMENT, problems
from tests.switchyard.gateway.tenants.access import KEYS, tenants
from tests.switchyard.repository.sources.conftest import Bucket


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with with_batches(tmp_path, echo, tenants=await tenants(tmp_path)) as one:
        yield one


async def test_openais_client_runs_a_batch_from_its_file_to_its_output(bench: Bench) -> None:
    async with client(bench.url) as http:
        batch = await submitted(http, chats(100), metadata={"job": "nightly"})
        assert (batch.status, batch.metadata) == ("validating", {"job": "nightly"})
        assert batch.expires_at == batch.created_at + 86400
        done = await ended(http, batch)
        assert (done.status, done.error_file_id) == ("completed", None)
        assert done.in_progress_at is not None
        assert done.completed_at is not None
        assert done.request_counts is not None
        assert done.request_counts.total == 100
        output, _ = await results(http, done)
        assert {name: said(row) for name, row in output.items()} == {f"line-{one}": str(one) for one in range(100)}
        row = output["line-7"]
        assert (row["error"], row["response"]["status_code"]) == (None, 200)
        assert row["response"]["request_id"].startswith(batch.id)
        assert [one.id async for one in http.batches.list()] == [batch.id]
        file = await http.files.retrieve(done.output_file_id or "")
        assert (file.purpose, file.filename) == ("batch_output", f"{batch.id}_output.jsonl")


async def test_a_batch_runs_where_files_are_on_s3(tmp_path: Path, bucket: Bucket) -> None:
    async with with_batches(tmp_path, echo, place=f"s3://{bucket.name}") as bench, client(bench.url) as http:
        done = await ended(http, await submitted(http, chats(20)))
        output, _ = await results(http, done)
    assert len(output) == 20
    listed = bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]
    assert {one["Key"] for one in listed} == {f"files/{done.input_file_id}", f"files/{done.output_file_id}"}


async def test_lines_of_v2_run_too(tmp_path: Path) -> None:
    async def tensor(call: Call) -> None:
        await call.answer({"model_name": "embed", "outputs": [{"name": "y", "data": json.loads(call.body)["inputs"]}]})

    async with with_batches(tmp_path, tensor) as bench, client(bench.url) as http:
        lines = [line(f"a{number}", {"inputs": [number]}, "/v2/models/embed/infer") for number in range(3)]
        done = await ended(http, await submitted(http, lines, "/v2/models/{model}/infer"))
        output, _ = await results(http, done)
        paths = {call.scope["path"] for call in bench.model.calls}
    assert paths == {"/v2/models/embed/infer"}
    assert output["a2"]["response"]["body"]["outputs"][0]["data"] == [2]


async def test_a_line_that_fails_is_in_the_error_file_with_the_error_that_any_call_gets(bench: Bench) -> None:
    lines = [*chats(2), line("unknown", {"model": "no-such-model", "messages": []}), line("nameless", {"messages": []})]
    async with client(bench.url) as http:
        done = await ended(http, await submitted(http, lines))
        output, errors = await results(http, done)
    assert done.status == "completed"
    assert output.keys() == {"line-0", "line-1"}
    assert errors["unknown"]["response"]["status_code"] == 404
    assert errors["unknown"]["response"]["body"]["error"]["code"] == "model_not_found"
    assert errors["nameless"]["response"]["body"]["error"]["code"] == "missing_model"


async def test_a_file_that_is_wrong_fails_its_batch_and_says_where(bench: Bench) -> None:
    lines: list[Any] = [
        *chats(1),
        "not json",
        "[]",
        line("", {}),
        line("line-0", {}),
        line("url", {}, EMBEDDINGS),
        line("body", []),
        line("stream", {"stream": True}),
        {**line("method", {}), "method": "GET"},
    ]
    async with client(bench.url) as http:
        done = await ended(http, await submitted(http, lines))
    assert done.status == "failed"
    assert done.errors is not None
    found = [(error.line, error.code) for error in done.errors.data or ()]
    assert found == [
        (2, "invalid_json_line"),
        (3, "invalid_json_line"),
        (4, "missing_required_parameter"),
        (5, "duplicate_custom_id"),
        (6, "mismatched_url"),
        (7, "missing_required_parameter"),
        (8, "invalid_request"),
        (9, "invalid_method"),
    ]
    assert bench.model.calls == []


async def test_a_model_is_asked_by_one_line_until_it_responds_and_models_one_after_the_other(tmp_path: Path) -> None:
    now, most, order = Counter[str](), Counter[str](), []
    awake = asyncio.Event()

    async def sleepy(call: Call) -> None:
        name = json.loads(call.body)["model"]
        now[name] += 1
        most[name] = max(most[name], now[name])
        order.append(name)
        if name == "sleepy" and now[name] == 1 and not awake.is_set():
            asyncio.get_running_loop().call_later(0.3, awake.set)
            await awake.wait()
            assert most["sleepy"] == 1
        await asyncio.sleep(0.005)
        now[name] -= 1
        await echo(call)

    file = await tenants(tmp_path)
    async with with_batches(tmp_path, sleepy, tenants=file) as bench, client(bench.url) as http:
        mixed = [one for pair in zip(chats(20, "sleepy"), chats(20, "chat", 20), strict=True) for one in pair]
        done = await ended(http, await submitted(http, mixed))
        await results(http, done)
    assert order == ["sleepy"] * 20 + ["chat"] * 20
    assert most["chat"] > 1


async def test_lines_wait_for_a_limit_and_none_fails_of_it(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    async def limited(call: Call) -> None:
        content = json.loads(call.body)["messages"][0]["content"]
        seen[content] += 1
        if seen[content] == 1 and int(content) % 3 == 0:
            await call.answer({"error": {"message": "slow down", "code": 429}}, 429, retry_after="1")
        else:
            await echo(call)

    async with with_batches(tmp_path, limited) as bench, client(bench.url) as http:
        done = await ended(http, await submitted(http, chats(6)))
        output, errors = await results(http, done)
    assert (len(output), errors) == (6, {})


async def test_a_model_that_fails_is_asked_again_and_its_last_error_is_the_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from switchyard.backoff import Backoff
    from switchyard.gateway.batches.lines import line as line_module

    monkeypatch.setattr(line_module, "_BACKOFF", Backoff(first=0.01, most=0.01))
    asked: Counter[str] = Counter()

    async def failing(call: Call) -> None:
        content = json.loads(call.body)["messages"][0]["content"]
        asked[content] += 1
        if content == "0" or asked[content] < 3:
            await call.answer({"error": {"message": "out of memory", "code": 500}}, 500)
        else:
            await echo(call)

    expected = [("ok", 2.0), ("failed", 1.0), ("retried", 2.0 * 2 + line_module.ATTEMPTS - 1), ("limited", 0.0)]
    async with with_batches(tmp_path, failing) as bench, client(bench.url) as http:
        done = await ended(http, await submitted(http, chats(3)))
        output, errors = await results(http, done)
        counted = [await bench.metric(f'gateway_batch_lines_total{{outcome="{one}"}} {n}') for one, n in expected]
    assert all(counted)
    assert output.keys() == {"line-1", "line-2"}
    assert errors["line-0"]["response"]["status_code"] == 500
    assert asked["0"] == line_module.ATTEMPTS


async def test_a_batch_that_is_cancelled_keeps_what_is_done_and_says_of_the_rest_that_it_was_not_run(
    tmp_path: Path,
) -> None:
    release = asyncio.Event()

    async def held(call: Call) -> None:
        if int(json.loads(call.body)["messages"][0]["content"]) > 2:
            await release.wait()
        await echo(call)

    async with with_batches(tmp_path, held) as bench, client(bench.url) as http:
        batch = await submitted(http, chats(50))
        async with asyncio.timeout(10):
            while len(bench.model.calls) < 4:
                await asyncio.sleep(0.01)
        assert (await http.batches.cancel(batch.id)).status == "cancelling"
        asyncio.get_running_loop().call_later(4, release.set)
        done = await ended(http, batch)
        output, errors = await results(http, done)
        again = await http.batches.cancel(batch.id)
    assert (done.status, again.status) == ("cancelled", "cancelled")
    assert {"line-0", "line-1", "line-2"} <= output.keys()
    assert len(output) + len(errors) == 50
    assert {row["error"]["code"] for row in errors.values()} == {"batch_cancelled"}


async def test_nobody_finds_a_batch_of_another_tenant(bench: Bench) -> None:
    async with client(bench.url) as ours, client(bench.url, KEYS["globex"]) as theirs:
        batch = await submitted(ours, chats(1))
        for attempt in (theirs.batches.retrieve, theirs.batches.cancel):
            with pytest.raises(openai.NotFoundError):
                await attempt(batch.id)
        assert [one.id async for one in theirs.batches.list()] == []
        with pytest.raises(openai.NotFoundError):
            await theirs.batches.create(
                input_file_id=batch.input_file_id, endpoint="/v1/chat/completions", completion_window="24h"
            )
        done = await ended(ours, batch)
        with pytest.raises(openai.NotFoundError):
            await theirs.files.content(done.output_file_id or "")


async def test_a_tenant_may_use_in_a_batch_what_it_may_use(bench: Bench) -> None:
    async with client(bench.url) as http:
        done = await ended(http, await submitted(http, chats(1, "seer")))  # of a model that acme may not use
        _, errors = await results(http, done)
    assert errors["line-0"]["response"]["body"]["error"]["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"endpoint": "/v1/models"}, "endpoint"),
        ({"endpoint": 3}, "endpoint"),
        ({"completion_window": "24d"}, "completion_window"),
        ({"completion_window": "169h"}, "completion_window"),
        ({"metadata": {"a": 1}}, "metadata"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"input_file_id": ""}, "input_file_id"),
        ({"what": ""}, "what"),
    ],
)
async def test_a_request_that_is_wrong_names_the_field(bench: Bench, fields: dict[str, Any], param: str) -> None:
    body = {"input_file_id": "file-a", "endpoint": "/v1/embeddings", "completion_window": "24h", **fields}
    headers = {"authorization": f"Bearer {KEYS['acme']}"}
    response = await bench.http.post("/v1/batches", json=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param


async def test_responses_are_as_the_document_says(bench: Bench) -> None:
    schemas = DOCUMENT["components"]["schemas"]
    async with client(bench.url) as http, httpx.AsyncClient(base_url=bench.url) as plain:
        done = await ended(http, await submitted(http, ["nothing"]))
        headers = {"authorization": f"Bearer {KEYS['acme']}"}
        shown = (await plain.get(f"/v1/batches/{done.id}", headers=headers)).json()
        listed = (await plain.get("/v1/batches", headers=headers)).json()
    assert problems(schemas["Batch"], shown) == []
    assert problems(schemas["BatchList"], listed) == []
    assert shown["errors"]["data"][0]["line"] == 1


async def test_a_gateway_without_a_place_for_files_has_no_batches(tmp_path: Path) -> None:
    async with gateway(tmp_path) as bench:
        response = await bench.http.get("/v1/batches")
    assert response.status_code == 501
    assert "SWITCHYARD_FILES" in response.json()["error"]["message"]


async def test_a_batch_of_a_key_that_is_revoked_ends(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def held(call: Call) -> None:
        await release.wait()
        await echo(call)

    file = await tenants(tmp_path)
    async with with_batches(tmp_path, held, tenants=file) as bench, client(bench.url) as http:
        batch = await submitted(http, chats(20))
        async with asyncio.timeout(10):
            while not bench.model.calls:
                await asyncio.sleep(0.01)
        text = file.path.read_text().replace("id: acme-key", "id: acme-key\n    revoked: true")
        file.path.write_text(text)
        await file.load()
        asyncio.get_running_loop().call_later(4, release.set)
        async with client(bench.url, KEYS["admin"]) as admin:  # of the same tenant
            done = await ended(admin, batch)
    assert done.status == "failed"
    assert done.errors is not None
    assert [error.code for error in done.errors.data or ()] == ["invalid_api_key"]


async def test_what_is_not_done_when_the_time_is_over_is_expired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from switchyard.gateway.batches import endpoints

    monkeypatch.setattr(endpoints, "_seconds", lambda window: 6)

    async def slow(call: Call) -> None:
        if json.loads(call.body)["messages"][0]["content"] != "0":
            await asyncio.sleep(2)
        await echo(call)

    async with with_batches(tmp_path, slow) as bench, client(bench.url) as http:
        done = await ended(http, await submitted(http, chats(200)))
        output, errors = await results(http, done)
    assert done.status == "expired"
    assert done.expired_at is not None
    assert "line-0" in output
    assert {row["error"]["code"] for row in errors.values()} == {"batch_expired"}
    assert len(output) + len(errors) == 200


async def test_lines_take_what_clients_leave_and_come_after_them_in_the_engine(tmp_path: Path) -> None:
    release, now, most = asyncio.Event(), Counter[str](), Counter[str]()

    async def model(call: Call) -> None:
        payload = json.loads(call.body)
        kind = "line" if payload.get("priority") else "client"
        now[kind] += 1
        most[kind] = max(most[kind], now[kind])
        if kind == "client":
            await release.wait()
        else:
            await asyncio.sleep(0.02)
        now[kind] -= 1
        await echo(call)

    file = await tenants(tmp_path)
    async with with_batches(tmp_path, model, tenants=file) as bench, client(bench.url) as http:
        bench.put("chat", concurrency=6)
        ask: Any = http.chat.completions.create
        clients = [
            asyncio.create_task(ask(model="chat", messages=[{"role": "user", "content": "client"}])) for _ in range(3)
        ]
        async with asyncio.timeout(10):
            while now["client"] < 3:
                await asyncio.sleep(0.01)
        batch = await submitted(http, chats(30))
        async with asyncio.timeout(10):
            while len(bench.model.calls) < 23:
                await asyncio.sleep(0.01)
        assert most["line"] == 2  # of six places, three are clients', and one is for the next of them
        clients += [
            asyncio.create_task(ask(model="chat", messages=[{"role": "user", "content": "client"}])) for _ in range(4)
        ]
        async with asyncio.timeout(10):
            while now["client"] < 6:
                await asyncio.sleep(0.01)
        before = len(bench.model.calls)
        await asyncio.sleep(0.5)  # one client waits, and no line begins
        assert len(bench.model.calls) == before
        release.set()
        await asyncio.gather(*clients)
        output, _ = await results(http, await ended(http, batch))
    assert len(output) == 30
