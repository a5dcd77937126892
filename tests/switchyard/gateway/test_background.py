"""OpenAI's Responses in the background, by its own client: made without one, looked up, continued, cancelled."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.switchyard.gateway.conftest import Bench, until
from tests.switchyard.gateway.quota.limited import tenants
from tests.switchyard.gateway.recordings.recorded import Steps, gateways
from tests.switchyard.gateway.tenants.access import KEYS

where = pytest.mark.parametrize("count", [1, 2], ids=["same-gateway", "other-gateway"])


def event(number: int, kind: str, **fields: Any) -> bytes:
    data = {"type": kind, "sequence_number": number, **fields}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def response(status: str, text: str = "") -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    return {"id": "resp_engine", "object": "response", "status": status, "output": [message] if text else []}


def script() -> Steps:
    events = [
        event(0, "response.created", response=response("in_progress")),
        event(1, "response.output_text.delta", delta="hel", item_id="msg_1", output_index=0, content_index=0),
        event(2, "response.output_text.delta", delta="lo", item_id="msg_1", output_index=0, content_index=0),
    ]
    return Steps(events, event(3, "response.completed", response=response("completed", "hello")))


@asynccontextmanager
async def client(bench: Bench, name: str = "acme") -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{bench.url}/v1", api_key=KEYS[name], max_retries=0) as made:
        yield made


async def status(found: openai.AsyncOpenAI, response_id: str, wanted: str) -> Any:
    """The response once it has the status."""
    async with asyncio.timeout(5):
        while (one := await found.responses.retrieve(response_id)).status != wanted:
            assert one.status in ("queued", "in_progress"), one.error
    return one


@where
async def test_a_response_is_made_without_its_client(tmp_path: Path, count: int) -> None:
    steps = script()
    async with gateways(tmp_path, steps, count) as benches, client(benches[0]) as first, client(benches[-1]) as other:
        made = await first.responses.create(model="chat", input="hi", background=True, temperature=0.5)
        assert (made.status, made.background, made.output, made.temperature) == ("queued", True, [], 0.5)
        await first.close()
        await until(lambda: steps.begun == 1)
        steps.go(steps.all)
        whole = await status(other, made.id, "completed")
        items = await other.responses.input_items.list(made.id)

    assert (whole.id, whole.output_text, whole.background) == (made.id, "hello", True)
    assert [item.model_dump()["content"][0]["text"] for item in items.data] == ["hi"]
    assert (steps.begun, steps.left) == (1, 0)


async def test_what_the_engine_is_asked_has_the_id_and_streams(tmp_path: Path) -> None:
    steps = script()
    steps.go(steps.all)
    async with gateways(tmp_path, steps) as (bench,), client(bench) as one:
        made = await one.responses.create(model="chat", input="hi", background=True)
        await status(one, made.id, "completed")
        (asked,) = bench.model.bodies

    assert asked == {"model": "chat", "input": "hi", "stream": True, "request_id": made.id}


@where
async def test_its_stream_goes_on_after_an_event(tmp_path: Path, count: int) -> None:
    steps = script()
    async with gateways(tmp_path, steps, count) as benches, client(benches[0]) as first, client(benches[-1]) as other:
        steps.go(2)
        stream = await first.responses.create(model="chat", input="hi", background=True, stream=True)
        seen = [await anext(stream.__aiter__())]
        await stream.close()
        response_id = benches[0].model.bodies[0]["request_id"]
        steps.go(steps.all)
        rest = await other.responses.retrieve(response_id, stream=True, starting_after=seen[0].sequence_number)
        seen += [one async for one in rest]

    assert [one.sequence_number for one in seen] == [0, 1, 2, 3]
    assert steps.left == 0


@where
async def test_one_is_cancelled_and_stays_so(tmp_path: Path, count: int) -> None:
    steps = script()
    async with gateways(tmp_path, steps, count) as benches, client(benches[0]) as first, client(benches[-1]) as other:
        made = await first.responses.create(model="chat", input="hi", background=True)
        steps.go()
        await until(lambda: steps.begun == 1)
        assert (await other.responses.cancel(made.id)).status == "cancelled"
        await until(lambda: steps.left == 1)
        assert [(await one.responses.retrieve(made.id)).status for one in (first, other)] == ["cancelled"] * 2
        assert (await first.responses.cancel(made.id)).status == "cancelled"


async def test_one_that_is_complete_is_not_cancelled(tmp_path: Path) -> None:
    steps = script()
    steps.go(steps.all)
    async with gateways(tmp_path, steps) as (bench,), client(bench) as one:
        made = await one.responses.create(model="chat", input="hi", background=True)
        await status(one, made.id, "completed")
        assert (await one.responses.cancel(made.id)).status == "completed"


async def test_one_that_the_model_rejects_has_failed(tmp_path: Path) -> None:
    steps = Steps(events=[], status=500)
    steps.go(steps.all)
    async with gateways(tmp_path, steps) as (bench,), client(bench) as one:
        made = await one.responses.create(model="chat", input="hi", background=True)
        failed = await status(one, made.id, "failed")

    assert failed.error is not None


async def test_no_tenant_sees_another_ones(tmp_path: Path) -> None:
    steps = script()
    steps.go(steps.all)
    async with gateways(tmp_path, steps, tenants=await tenants(tmp_path)) as (bench,), client(bench) as acme:
        made = await acme.responses.create(model="chat", input="hi", background=True)
        await status(acme, made.id, "completed")
        async with client(bench, "globex") as globex:
            for ask in (globex.responses.retrieve, globex.responses.cancel, globex.responses.input_items.list):
                with pytest.raises(openai.NotFoundError):
                    await ask(made.id)


async def test_a_repeated_request_with_a_key_is_the_same_response(tmp_path: Path) -> None:
    steps = script()
    async with gateways(tmp_path, steps) as (bench,), client(bench) as one:
        headers = {"idempotency-key": "one"}
        made = [
            await one.responses.create(model="chat", input="hi", background=True, extra_headers=headers)
            for _ in range(2)
        ]
        steps.go(steps.all)
        await status(one, made[0].id, "completed")

    assert made[0].id == made[1].id
    assert steps.begun == 1


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_its_input_comes_in_pages(tmp_path: Path, order: Any) -> None:
    steps = script()
    steps.go(steps.all)
    given: Any = [{"role": "user", "content": f"{number}"} for number in range(5)]
    async with gateways(tmp_path, steps) as (bench,), client(bench) as one:
        made = await one.responses.create(model="chat", input=given, background=True)
        found = [item.id async for item in one.responses.input_items.list(made.id, limit=2, order=order)]

    expected = [f"msg_{number}" for number in range(5)]
    assert found == (expected if order == "asc" else expected[::-1])


async def test_one_that_is_not_to_be_stored_is_rejected(tmp_path: Path) -> None:
    async with gateways(tmp_path, script()) as (bench,), client(bench) as one:
        with pytest.raises(openai.BadRequestError):
            await one.responses.create(model="chat", input="hi", background=True, store=False)
