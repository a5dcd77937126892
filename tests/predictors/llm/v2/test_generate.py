"""Triton's generate extension on a real port, before a small application that streams as vLLM's does."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from predictors.llm.v2.completion import TextModel
from predictors.llm.v2.generate import GenerateExtension
from switchyard.http.asgi import Receive, Scope, Send
from switchyard.http.asgi.serving import handler_of
from switchyard.http.server import Server

GENERATE, STREAM = "/v2/models/m/generate", "/v2/models/m/generate_stream"
TOO_MANY = {"error": {"message": "max_tokens is too large", "code": 400}}
LOST = {"error": {"message": "out of memory", "code": 500}}


@dataclass
class Engine:
    """Says two words; ``status`` and ``fault`` fail a request, a fault with status 200 after the first word."""

    status: int = 200
    fault: dict[str, Any] | None = None
    hangs: bool = False
    asked: list[dict[str, Any]] = field(default_factory=list)
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(json.loads((await receive())["body"]))
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        if self.status != 200:
            await self._body(send, json.dumps(self.fault).encode())
        elif self.asked[-1].get("stream"):
            await self._stream(receive, send)
        else:
            choice = {"message": {"content": "one two"}, "finish_reason": "stop"}
            usage = {"prompt_tokens": 3, "completion_tokens": 2}
            await self._body(send, json.dumps({"choices": [choice], "usage": usage}).encode())

    async def _stream(self, receive: Receive, send: Send) -> None:
        rows: list[dict[str, Any]] = [chunk("", 0), chunk("one ", 1), chunk("two", 2, "stop"), {"choices": []}]
        if self.fault is not None:
            rows[2:] = [self.fault]
        for row in rows:
            data = b"data: " + json.dumps(row).encode() + b"\n\n"
            await send({"type": "http.response.body", "body": data, "more_body": True})
            if self.hangs and row["choices"][0]["delta"]["content"]:
                assert (await receive())["type"] == "http.disconnect"
                self.disconnected.set()
                return
        await self._body(send, b"data: [DONE]\n\n")

    async def _body(self, send: Send, body: bytes) -> None:
        await send({"type": "http.response.body", "body": body, "more_body": False})


def chunk(text: str, tokens: int, reason: str | None = None) -> dict[str, Any]:
    usage = {"prompt_tokens": 3, "completion_tokens": tokens}
    return {"choices": [{"delta": {"content": text}, "finish_reason": reason}], "usage": usage}


async def kserve(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b"KServe's"})


@asynccontextmanager
async def serving(engine: Engine, *, generates: bool = True, lost: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    texts = TextModel(engine, "m", chat=True)
    application = GenerateExtension(kserve, "m", texts, generates=generates, lost=lambda: lost)
    server = Server(handler_of(application))
    url = f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}"
    try:
        async with httpx.AsyncClient(base_url=url, timeout=5) as client:
            yield client
    finally:
        await server.aclose()


def rows(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    return [json.loads(event.removeprefix("data: ")) for event in response.text.strip().split("\n\n")]


async def test_a_text_gets_a_text_and_its_counts() -> None:
    engine = Engine()
    async with serving(engine) as client:
        response = await client.post(
            GENERATE, json={"id": "7", "text_input": ["hi"], "max_tokens": 9, "parameters": {"seed": 1}}
        )
    assert response.json() == {
        "id": "7",
        "model_name": "m",
        "model_version": "1",
        "text_output": "one two",
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "completion_tokens": 2,
    }
    message = {"role": "user", "content": "hi"}
    assert engine.asked == [{"model": "m", "max_tokens": 9, "seed": 1, "messages": [message]}]


@pytest.mark.parametrize("options", [{}, {"stream": True}, {"parameters": {"stream": True}}])
async def test_a_stream_has_an_event_for_each_chunk_with_text(options: dict[str, Any]) -> None:
    async with serving(Engine()) as client:
        found = rows(await client.post("/v2/models/m/versions/1/generate_stream", json={"text_input": "hi", **options}))
    assert [(row["text_output"], row["finish_reason"], row["completion_tokens"]) for row in found] == [
        ("one ", "", 1),
        ("two", "stop", 2),
    ]


async def test_a_stream_that_is_not_to_stream_has_one_event() -> None:
    async with serving(Engine()) as client:
        (row,) = rows(await client.post(STREAM, json={"text_input": "hi", "stream": False}))
    assert row["text_output"] == "one two"


@pytest.mark.parametrize("path", [GENERATE, STREAM])
@pytest.mark.parametrize(
    ("engine", "status", "code"),
    [(Engine(400, TOO_MANY), 400, "invalid_value"), (Engine(500, LOST), 500, "model_error")],
)
async def test_what_the_engine_rejects_is_an_error_of_v2(path: str, engine: Engine, status: int, code: str) -> None:
    async with serving(engine) as client:
        response = await client.post(path, json={"text_input": "hi"})
    assert engine.fault is not None
    assert (response.status_code, response.json()) == (
        status,
        {"error": engine.fault["error"]["message"], "code": code},
    )


async def test_an_engine_that_has_died_is_worth_another_try() -> None:
    async with serving(Engine(503, LOST), lost=True) as client:
        response = await client.post(GENERATE, json={"text_input": "hi"})
    assert (response.status_code, response.json()["code"], response.headers["retry-after"]) == (
        503,
        "model_failed",
        "1",
    )


async def test_an_engine_that_fails_within_a_stream_says_so_in_its_last_event() -> None:
    async with serving(Engine(fault=LOST)) as client:
        first, last = rows(await client.post(STREAM, json={"text_input": "hi"}))
    assert first["text_output"] == "one "
    assert last == {"error": "out of memory", "code": "model_error"}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("no json", "the body is not JSON"),
        ("[]", 'send {"text_input"'),
        ('{"text_input": 3}', "text_input must be one text"),
        ('{"text_input": "hi", "parameters": [1]}', 'send {"text_input"'),
        ('{"text_input": "hi", "max_tokns": 3}', "parameter 'max_tokns' is unknown; use"),
        ('{"text_input": "hi", "stream": "yes"}', "stream must be true or false"),
        ('{"text_input": "hi", "exclude_input_in_output": false}', "never begins with the prompt"),
    ],
)
@pytest.mark.parametrize("path", [GENERATE, STREAM])
async def test_a_request_that_is_wrong_gets_a_sentence(path: str, body: str, sentence: str) -> None:
    async with serving(Engine()) as client:
        response = await client.post(path, content=body)
    assert response.status_code == 400
    assert sentence in response.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "generates", "status"),
    [
        ("POST", "/v2/models/other/generate", True, 404),
        ("GET", GENERATE, True, 405),
        ("POST", STREAM, False, 501),
        ("POST", "/v2/models/m/infer", True, 418),
        ("GET", "/v2/models/m", True, 418),
    ],
)
async def test_only_its_own_paths_are_taken_from_kserve(method: str, path: str, generates: bool, status: int) -> None:
    async with serving(Engine(), generates=generates) as client:
        response = await client.request(method, path, content='{"text_input": "hi"}')
    assert response.status_code == status


async def test_generate_has_no_stream_to_give() -> None:
    async with serving(Engine()) as client:
        response = await client.post(GENERATE, json={"text_input": "hi", "stream": True})
    assert (response.status_code, "generate_stream" in response.json()["error"]) == (400, True)


async def test_closing_a_stream_of_the_text_model_disconnects_the_engine() -> None:
    engine = Engine(hangs=True)
    stream = TextModel(engine, "m", chat=True).stream("hi", {}, {})
    assert (await anext(stream)).text == "one "
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(engine.disconnected.wait(), 5)
