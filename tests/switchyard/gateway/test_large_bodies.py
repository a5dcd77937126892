"""Bodies that are large, or would be costly to parse: what reaches a model, and what the caller is told."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from switchyard.gateway.call import Call
from switchyard.gateway.stages.parse import FORM_BYTES
from switchyard.http.json_cost import ITEM_OBJECTS, JSON_DEPTH, JSON_PARTS, LIST_ITEMS
from switchyard.http.server import Exchange
from tests.switchyard.gateway.conftest import Bench, until
from tests.switchyard.gateway.conftest import Call as ModelCall

JSON = {"content-type": "application/json"}
CODES: dict[str, Callable[[Any], str]] = {
    "/v1/chat/completions": lambda error: error["error"]["code"],
    "/v1/responses": lambda error: error["error"]["code"],
    "/v1/completions": lambda error: error["error"]["code"],
    "/v1/messages": lambda error: error["error"]["details"]["error_code"],
    "/tokenize": lambda error: error["error"]["code"],
}
MANY = b'{"model":"chat","messages":[' + b",".join([b"[]"] * JSON_PARTS) + b"]}"
DEEP = b'{"model":"chat","messages":' + b"[" * JSON_DEPTH + b"]" * JSON_DEPTH + b"}"
ITEMS = orjson.dumps({"model": "chat", "messages": [{}] * (LIST_ITEMS + 1)})
STRINGS = orjson.dumps({"model": "chat", "prompt": ["x"] * (LIST_ITEMS + 1)})
PARTS = orjson.dumps({"model": "chat", "input": [{"content": [{}] * ITEM_OBJECTS}]})


@pytest.mark.parametrize("path", CODES)
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (MANY, 413, "body_too_large"),
        (DEEP, 400, "invalid_value"),
        (ITEMS, 400, "invalid_value"),
        (STRINGS, 400, "invalid_value"),
        (PARTS, 400, "invalid_value"),
    ],
    ids=["many parts", "deep", "many items", "many items of a cheap body", "many parts of an item"],
)
async def test_a_costly_body_is_rejected_in_the_callers_protocol(
    bench: Bench, path: str, body: bytes, status: int, code: str
) -> None:
    response = await bench.http.post(path, content=body, headers=JSON)
    assert (response.status_code, CODES[path](response.json())) == (status, code)
    assert not bench.model.calls


@pytest.mark.parametrize("name", ["", "n" * 100_000])
async def test_a_name_that_no_model_has_is_not_shown_as_an_empty_one(bench: Bench, name: str) -> None:
    response = await bench.http.post("/v1/chat/completions", json={"model": name, "messages": ["x" * 100_000]})
    assert (response.status_code, response.json()["error"]["code"]) == (404, "model_not_found")
    assert response.json()["error"]["message"].startswith("the model's name is empty, or longer than any")


@pytest.mark.parametrize("text", ["x", "\n", '"', "\\", "é", "😀", "["])
async def test_a_long_text_reaches_the_model_as_it_was_sent(bench: Bench, text: str) -> None:
    messages = [{"role": "user", "content": text * 2_000_000}]
    body = orjson.dumps({"messages": messages, "model": "chat", "stream": True})
    response = await bench.http.post("/v1/chat/completions", content=body, headers=JSON)
    assert response.headers["content-type"].startswith("text/event-stream")
    assert [call.body for call in bench.model.calls] == [body]


async def test_a_large_body_that_is_no_json_or_holds_an_image_is_seen_to_be(bench: Bench) -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    body = orjson.dumps({"model": "chat", "messages": [{"role": "user", "content": [image]}]})
    response = await bench.http.post("/v1/chat/completions", content=body, headers=JSON)
    assert response.json()["error"]["code"] == "pictures_not_read"
    response = await bench.http.post("/v1/chat/completions", content=body[:-1], headers=JSON)
    assert response.json()["error"]["code"] == "invalid_json"
    assert not bench.model.calls


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/llm/chat", {"json": {"prompt": "x" * FORM_BYTES}}),
        ("/generate", {"json": {"text": "x" * FORM_BYTES}}),
        ("/v1/chat/chat", {"content": b"[" * (FORM_BYTES + 1)}),
    ],
)
async def test_a_short_form_takes_a_megabyte(bench: Bench, path: str, sent: dict[str, Any]) -> None:
    assert (await bench.http.post(path, **sent)).status_code == 413
    assert not bench.model.calls


async def test_brackets_in_a_plain_text_are_no_depth(bench: Bench) -> None:
    response = await bench.http.post("/v1/chat/chat", content=b"[" * 200_000)
    assert (response.status_code, response.text) == (200, "hello")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (MANY, 413),
        (orjson.dumps({"model": "unknown", "messages": []}), 404),
        (orjson.dumps({"model": "nobody", "messages": []}), 503),
        (orjson.dumps({"model": "chat", "messages": []}), 200),
    ],
    ids=["rejected", "unknown", "unreachable", "served"],
)
async def test_a_call_is_freed_with_its_body_when_it_is_over(
    bench: Bench, caplog: pytest.LogCaptureFixture, body: bytes, status: int
) -> None:
    caplog.set_level("ERROR")  # pytest keeps what is logged, and the errors in it
    gc.collect()
    gc.disable()  # which would find what only keeps itself, some megabytes later
    try:
        assert (await bench.http.post("/v1/chat/completions", content=body, headers=JSON)).status_code == status
        await until(lambda: not any(type(one) is Call for one in gc.get_objects()))
    finally:
        gc.enable()


async def test_a_body_is_freed_once_the_model_begins_to_respond(bench: Bench) -> None:
    over = asyncio.Event()

    async def stream(call: ModelCall) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.chunk(b"data: {}\n\n")
        await over.wait()
        await call.end()

    bench.model.script = stream
    body = orjson.dumps({"model": "chat", "stream": True, "messages": [{"role": "user", "content": "x" * 2_000_000}]})
    async with bench.http.stream("POST", "/v1/chat/completions", content=body, headers=JSON) as response:
        await anext(response.aiter_bytes())
        # Not ``isinstance``, which asks objects of torch for their class, and they warn.
        found = [one for one in gc.get_objects() if issubclass(type(one), Call | Exchange)]
        over.set()
        held = [one for one in found if not getattr(one, "finished", False)]
        assert {type(one).__name__ for one in held} == {"Call", "Http1Exchange"}
        assert sum(len(one.body) if isinstance(one, Call) else one._size for one in held) == 0
