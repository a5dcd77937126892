"""A call that its client cuts costs what is known of it, else the guess, whichever protocol it came by."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tritonclient.grpc import service_pb2

from switchyard.catalog import Catalog, Model, State
from tests.switchyard.gateway.conftest import Bench, Call, until
from tests.switchyard.gateway.quota.limited import Away, ledger, tenants
from tests.switchyard.gateway.tenants.access import KEYS
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway

MOST = [{"limit": unit, "most": 10**6, "per": "day"} for unit in ("input_tokens", "output_tokens", "inferences")]
TEXT = "x" * 400  # some 100 tokens
GUESS = 20 * 30
CHAT = {"messages": [{"role": "user", "content": TEXT}], "n": 20, "max_tokens": 30}
EVENT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


async def silent(call: Call) -> None:
    await call.disconnected()


async def half_json(call: Call) -> None:
    await call.start()
    await call.chunk(b'{"half":')
    await call.disconnected()


async def stream_of_nothing(call: Call) -> None:
    await call.start(content_type=b"text/event-stream")
    await call.disconnected()


async def two_events(call: Call) -> None:
    await call.start(content_type=b"text/event-stream")
    await call.chunk(EVENT * 2)
    await call.disconnected()


@asynccontextmanager
async def cut_gateway(folder: Path, away: Away) -> AsyncIterator[GrpcBench]:
    async with rpc_gateway(folder, tenants=await tenants(folder, *MOST), ledger=away) as rpc:
        graph = Model(name="graph", kind="graph", url=rpc.bench.model.url, state=State(phase="ready"))
        rpc.bench.catalog.replace(Catalog({**rpc.bench.catalog.current().models, "graph": graph}))
        yield rpc


@pytest.fixture
async def away(tmp_path: Path) -> AsyncIterator[Away]:
    async with ledger(f"sqlite://{tmp_path}/ledger.db") as opened:
        yield Away(opened)


async def row_of(away: Away, tenant: str) -> dict[str, Any]:
    async with asyncio.timeout(5):
        while not (rows := await away.rows(tenant, since=0, until=2**40)):
            await asyncio.sleep(0.01)
    ((_, row),) = rows
    found: dict[str, Any] = json.loads(row)
    return found


async def cut(bench: Bench, key: str, path: str, body: dict[str, Any], *, after: Callable[[], bool] | None) -> None:
    """Sends a request and cuts it when ``after`` holds, else with the first bytes of the response."""
    async with httpx.AsyncClient(base_url=bench.url, headers={"x-api-key": KEYS[key]}) as client:
        if after is None:
            async with client.stream("POST", path, json=body) as response:
                await anext(response.aiter_raw())
            return
        calling = asyncio.create_task(client.post(path, json=body))
        await until(after)
        calling.cancel()


@pytest.mark.parametrize("key", ["acme", "globex"])  # acme has limits
@pytest.mark.parametrize(
    ("path", "body", "script", "responds", "output"),
    [
        pytest.param("chat/completions", {"model": "chat", **CHAT}, silent, False, GUESS, id="whole, before"),
        pytest.param("chat/completions", {"model": "chat", **CHAT}, half_json, True, GUESS, id="whole, after"),
        pytest.param(
            "chat/completions", {"model": "chat", "stream": True, **CHAT}, silent, False, GUESS, id="stream, before"
        ),
        pytest.param(
            "chat/completions",
            {"model": "chat", "stream": True, **CHAT},
            stream_of_nothing,
            False,
            GUESS,
            id="stream, before an event",
        ),
        pytest.param(
            "chat/completions", {"model": "chat", "stream": True, **CHAT}, two_events, True, 2, id="stream, after"
        ),
        pytest.param("embeddings", {"model": "embed", "input": TEXT}, silent, False, 0, id="embeddings, before"),
        pytest.param("embeddings", {"model": "embed", "input": TEXT}, half_json, True, 0, id="embeddings, after"),
        pytest.param("chat/completions", {"model": "graph", **CHAT}, silent, False, GUESS, id="graph, before"),
        pytest.param("chat/completions", {"model": "graph", **CHAT}, half_json, True, GUESS, id="graph, after"),
    ],
)
async def test_over_http_bill_and_limits_have_its_input_and_what_was_seen_else_the_guess(
    tmp_path: Path, away: Away, key: str, path: str, body: dict[str, Any], script: Any, responds: bool, output: int
) -> None:
    async with cut_gateway(tmp_path, away) as rpc:
        bench = rpc.bench
        bench.model.script = script
        after = None if responds else (lambda: bool(bench.model.calls))
        await cut(bench, key, f"/v1/{path}", body, after=after)
        row = await row_of(away, key)
    assert (row["outcome"], row["estimated"], row["completion_tokens"]) == ("cancelled", True, output)
    assert 100 <= row["prompt_tokens"] < 200
    assert row["nano_dollars"] > 0
    if key == "acme":
        ((_, taken),) = away.settled
        assert (taken["input_tokens"], taken["output_tokens"]) == (row["prompt_tokens"], output)


@pytest.mark.parametrize("key", ["acme", "globex"])
@pytest.mark.parametrize(
    ("model", "streams", "responses", "output", "inferences"),
    [
        pytest.param("chat", False, 0, 512, 1, id="unary, before"),
        pytest.param("ocr", False, 0, 0, 1, id="images, before"),
        pytest.param("chat", True, 0, 512, 1, id="stream, before"),
        pytest.param("chat", True, 2, 2, 0, id="stream, after"),
    ],
)
async def test_over_grpc_bill_and_limits_have_its_input_and_what_was_seen_else_the_guess(
    tmp_path: Path, away: Away, key: str, model: str, streams: bool, responses: int, output: int, inferences: int
) -> None:
    async with cut_gateway(tmp_path, away) as rpc:
        metadata = (("x-api-key", KEYS[key]),)
        asked = service_pb2.ModelInferRequest(model_name=model, id="hang")
        call: Any
        if streams:
            call = rpc.stub.ModelStreamInfer(timeout=30, metadata=metadata)
            for _ in range(responses):
                await call.write(service_pb2.ModelInferRequest(model_name=model))
                await call.read()
            if not responses:
                await call.write(asked)
        else:
            call = rpc.stub.ModelInfer(asked, timeout=30, metadata=metadata)
        if not responses:
            await rpc.model.arrived.wait()
        call.cancel()
        row = await row_of(away, key)
    assert (row["outcome"], row["estimated"], row["completion_tokens"]) == ("cancelled", True, output)
    assert row["inferences"] == inferences
    if key == "acme":
        async with asyncio.timeout(5):
            while len(away.settled) < max(responses, 1):  # each message has reserved its own
                await asyncio.sleep(0.01)
        taken = {unit: sum(amounts[unit] for _, amounts in away.settled) for unit in away.settled[0][1]}
        assert (taken["input_tokens"], taken["output_tokens"]) == (row["prompt_tokens"], output)
        assert taken["inferences"] == inferences


async def test_what_waits_for_a_model_that_is_asleep_has_used_nothing(tmp_path: Path, away: Away) -> None:
    async with cut_gateway(tmp_path, away) as rpc:
        bench = rpc.bench
        bench.model.script = silent
        await cut(
            bench, "acme", "/v1/chat/completions", {"model": "sleepy", **CHAT}, after=lambda: bool(bench.model.calls)
        )
        row = await row_of(away, "acme")
    assert (row["outcome"], row["prompt_tokens"], row["nano_dollars"]) == ("cancelled", 0, 0)
    ((_, taken),) = away.settled
    assert set(taken.values()) == {0}


async def test_a_guess_is_of_what_calls_without_limits_used_of_late_too(tmp_path: Path, away: Away) -> None:
    async def short(call: Call) -> None:
        await call.answer({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 7}})

    async with cut_gateway(tmp_path, away) as rpc:
        bench = rpc.bench
        bench.model.script = short
        body = {"model": "chat", **CHAT}
        headers = {"x-api-key": KEYS["globex"]}
        assert (await bench.http.post("/v1/chat/completions", json=body, headers=headers)).status_code == 200
        bench.model.script = silent
        await cut(bench, "acme", "/v1/chat/completions", body, after=lambda: len(bench.model.calls) == 2)
        assert (await row_of(away, "acme"))["completion_tokens"] == 8
