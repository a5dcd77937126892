"""What the gateway knows of a call's usage when the call is settled, however the response comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from switchyard.http.usage import Usage
from tests.switchyard.gateway.conftest import Bench, Call, gateway, until

COUNTED = {"prompt_tokens": 3, "completion_tokens": 2}
SAID = json.dumps(COUNTED).encode()
EVENT = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'


@pytest.fixture
async def bench(tmp_path: Path, counted: list[Usage | None]) -> AsyncIterator[Bench]:
    async with gateway(tmp_path) as bench:
        yield bench


async def test_a_models_own_usage_is_read(bench: Bench, counted: list[Usage | None]) -> None:
    assert (await bench.chat()).status_code == 200
    assert counted == [Usage(prompt_tokens=1, completion_tokens=1)]


async def test_a_header_counts_before_the_body_and_stays_behind_the_gateway(
    bench: Bench, counted: list[Usage | None]
) -> None:
    async def script(call: Call) -> None:
        assert call.headers[b"x-switchyard-usage"] == b"1"
        await call.answer({"usage": {"prompt_tokens": 99}}, x_switchyard_usage=SAID.decode())

    bench.model.script = script
    response = await bench.chat()
    assert "x-switchyard-usage" not in response.headers
    assert counted == [Usage(prompt_tokens=3, completion_tokens=2)]


async def test_a_body_that_comes_in_parts_is_read_at_its_end(bench: Bench, counted: list[Usage | None]) -> None:
    async def script(call: Call) -> None:
        await call.start()
        await call.chunk(b'{"data":["' + b"x" * 100_000)
        await call.chunk(b'"],"usage":{"prompt_tok')
        await asyncio.sleep(0.01)
        await call.end(b'ens":3,"completion_tokens":2}}')

    bench.model.script = script
    assert len((await bench.chat()).json()["data"][0]) == 100_000
    assert counted == [Usage(prompt_tokens=3, completion_tokens=2)]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/llm/chat"])
async def test_a_stream_is_read_in_its_comment(bench: Bench, counted: list[Usage | None], path: str) -> None:
    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(EVENT)
        await call.chunk(b": usage " + SAID[:9])
        await call.chunk(SAID[9:] + b"\n\n")
        await call.end(b"data: [DONE]\n\n")

    bench.model.script = script
    asked: dict[str, Any] = {"model": "chat", "stream": True}
    asked["prompt" if "llm" in path else "messages"] = "hi" if "llm" in path else []
    response = await bench.http.post(path, json=asked)
    assert "[DONE]" in response.text
    assert "usage" not in response.text
    assert counted == [Usage(prompt_tokens=3, completion_tokens=2)]


async def test_a_stream_reaches_its_client_without_the_comment_and_else_as_it_was(
    bench: Bench, counted: list[Usage | None]
) -> None:
    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.end(EVENT + b": kept\n\n: usage " + SAID + b"\n\ndata: [DONE]\n\n")

    bench.model.script = script
    response = await bench.chat(stream=True)
    assert response.content == EVENT + b": kept\n\ndata: [DONE]\n\n"
    assert counted == [Usage(prompt_tokens=3, completion_tokens=2)]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_graphs_earlier_steps_are_added_to_what_the_last_one_used(
    bench: Bench, counted: list[Usage | None], stream: bool
) -> None:
    before = '{"prompt_tokens":100,"inferences":1,"pixels":9}'

    async def script(call: Call) -> None:
        if stream:
            await call.start(content_type=b"text/event-stream", x_switchyard_usage_before=before)
            await call.end(EVENT + b": usage " + SAID + b"\n\ndata: [DONE]\n\n")
        else:
            await call.answer({"usage": COUNTED}, x_switchyard_usage_before=before)

    bench.model.script = script
    response = await bench.chat(stream=stream)
    assert "x-switchyard-usage-before" not in response.headers
    assert counted == [Usage(prompt_tokens=103, completion_tokens=2, inferences=1, pixels=9)]


async def test_a_stream_that_nobody_counts_is_estimated(bench: Bench, counted: list[Usage | None]) -> None:
    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(EVENT * 3)
        await call.end(b"data: [DONE]\n\n")

    bench.model.script = script
    await bench.chat(stream=True, user="u" * 400)
    (usage,) = counted
    assert usage is not None
    assert usage.completion_tokens == 3
    assert 100 < usage.prompt_tokens < 150
    assert usage.estimated


UNUSABLE = [
    *(
        f'{{"prompt_tokens":{count},"completion_tokens":2}}'
        for count in ("-1", "9007199254740992", '"7"', "NaN", "1.5")
    ),
    *('{"prompt_tokens":3,"completion_tokens":true}', '{"prompt_tokens":null}', "null", "[3]", '{"prompt_tokens":'),
]


@pytest.mark.parametrize("said", UNUSABLE)
@pytest.mark.parametrize("stream", [True, False])
async def test_what_is_no_usage_is_estimated(
    bench: Bench, counted: list[Usage | None], stream: bool, said: str
) -> None:
    async def script(call: Call) -> None:
        if stream:
            await call.start(content_type=b"text/event-stream")
            await call.end(EVENT * 3 + b'data: {"usage":' + said.encode() + b"}\n\ndata: [DONE]\n\n")
        else:
            await call.start(content_type=b"application/json")
            await call.end(b'{"text":"' + b"x" * 400 + b'","usage":' + said.encode() + b"}")

    bench.model.script = script
    assert (await bench.chat(stream=stream, user="u" * 400)).status_code == 200
    (usage,) = counted
    assert usage is not None
    assert usage.estimated
    assert 100 < usage.prompt_tokens < 150
    assert usage.completion_tokens == 4 if stream else 100 < usage.completion_tokens < 130


async def test_counting_tokens_uses_none(bench: Bench, counted: list[Usage | None]) -> None:
    async def script(call: Call) -> None:
        await call.answer({"count": 3, "tokens": [1, 2, 3]})

    bench.model.script = script
    assert (await bench.http.post("/tokenize", json={"model": "chat", "prompt": "hi"})).status_code == 200
    assert counted == [None]


async def test_a_stream_that_its_client_cuts_is_estimated(bench: Bench, counted: list[Usage | None]) -> None:
    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(EVENT * 2)
        await call.disconnected()

    bench.model.script = script
    body = {"model": "chat", "messages": [], "stream": True}
    async with (
        httpx.AsyncClient(base_url=bench.url) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as response,
    ):
        await anext(response.aiter_bytes())
    await until(lambda: bool(counted))
    (usage,) = counted
    assert usage is not None
    assert usage.completion_tokens == 2
    assert usage.estimated


async def test_a_stream_that_is_cut_has_used_what_was_said_so_far_and_a_token_for_each_event_since(
    bench: Bench, counted: list[Usage | None]
) -> None:
    fake = b'data: {"choices":[{"delta":{"content":": usage {}"}}]}\n\n'

    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(EVENT + b': usage {"prompt_tokens":3,"completion_tokens":500}\n\n' + EVENT)
        await call.chunk(fake)
        await call.disconnected()

    bench.model.script = script
    async with (
        httpx.AsyncClient(base_url=bench.url) as client,
        client.stream(
            "POST", "/v1/chat/completions", json={"model": "chat", "messages": [], "stream": True}
        ) as response,
    ):
        seen = b""
        async for chunk in response.aiter_raw():
            seen += chunk
            if seen == EVENT * 2 + fake:
                break
    await until(lambda: bool(counted))
    assert counted == [Usage(prompt_tokens=3, completion_tokens=502, estimated=True)]


async def test_an_error_has_no_usage(bench: Bench, counted: list[Usage | None]) -> None:
    async def script(call: Call) -> None:
        await call.answer({"error": {"message": "no"}, "usage": COUNTED}, 400)

    bench.model.script = script
    assert (await bench.chat()).status_code == 400
    assert counted == [None]


async def test_an_image_without_a_count_is_one_inference(bench: Bench, counted: list[Usage | None]) -> None:
    async def script(call: Call) -> None:
        await call.answer({"text": "LIDL"})

    bench.model.script = script
    await bench.http.post("/v1/ocr", content=b"png", headers={"content-type": "image/png"})
    assert counted == [Usage(inferences=1)]


async def test_a_client_cannot_ask_for_it(tmp_path: Path) -> None:
    async with gateway(tmp_path) as bench:
        await bench.http.post(
            "/v1/chat/completions", json={"model": "chat", "messages": []}, headers={"x-switchyard-usage": "1"}
        )
        assert b"x-switchyard-usage" not in bench.model.calls[0].headers
