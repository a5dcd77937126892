"""The check of bodies in front of an engine, on a real server, with a validation that stands for the engine's."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
import pytest
from pydantic import BaseModel

from predictors.llm.request_check import RequestCheck
from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.http.asgi.body import read_body
from switchyard.http.asgi.replies import TEXT, reply
from switchyard.http.asgi.serving import handler_of
from switchyard.http.json_cost import ITEM_OBJECTS, JSON_DEPTH, JSON_PARTS, LIST_ITEMS
from switchyard.http.server import Server, ServerLimits

LIMIT = 4 * 1024 * 1024


class Part(BaseModel):
    type: str
    text: str


class Item(BaseModel):
    role: str
    content: str | list[Part]


class Request(BaseModel):
    """As vLLM's ``ResponsesRequest``."""

    input: str | list[Item]


async def length(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands for the engine."""
    body = await read_body(receive, scope, LIMIT)
    await reply(send, 200, b"%d" % len(body), TEXT)


class Engine:
    def __init__(self) -> None:
        self.validated = 0

    def validate(self, items: list[Any]) -> None:
        self.validated += len(items)
        Request.model_validate({"input": items})


def unreadable(body: bytes, json_length: int) -> None:
    """Stands for KServe's decoder, which gets a text that is longer than what is left."""
    if body[json_length:] in (b"bad", b""):
        raise ValueError(f"{body[json_length:]!r} ends early")


@asynccontextmanager
async def predictor(engine: Engine, app: App = length) -> AsyncIterator[httpx.AsyncClient]:
    handler = handler_of(app, body_bytes=LIMIT, check=RequestCheck(engine.validate, unreadable))
    server = Server(handler, ServerLimits(body_memory=2 * LIMIT))
    try:
        url = f"http://127.0.0.1:{await server.listen('127.0.0.1')}"
        async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
            yield client
    finally:
        await server.aclose()


GOOD = {"role": "user", "content": [{"type": "input_text", "text": "x"}]}
BAD = {"role": "user", "content": [{"type": "input_text", "text": 5}]}
OPENAI = ["/openai/v1/chat/completions", "/openai/v1/responses", "/openai/v1/messages"]
V2 = "/v2/models/m/infer"
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("path", [*OPENAI, V2, "/v1/models/m:predict"])
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a":[' + b",".join([b"[]"] * JSON_PARTS) + b"]}", 413),
        (b'{"a":' + b"[" * JSON_DEPTH + b"]" * JSON_DEPTH + b"}", 400),
    ],
    ids=["many parts", "deep"],
)
async def test_json_that_is_costly_to_parse_does_not_reach_the_engine(path: str, body: bytes, status: int) -> None:
    async with predictor(Engine()) as client:
        response = await client.post(path, content=body, headers=JSON)
        assert response.status_code == status
        error = response.json()["error"]
        assert "the body" in (error if path in (V2, "/v1/models/m:predict") else error["message"])


@pytest.mark.parametrize("path", OPENAI)
@pytest.mark.parametrize(
    "payload",
    [{"messages": [{}] * (LIST_ITEMS + 1)}, {"input": [{"content": [{}] * ITEM_OBJECTS}]}, {"tools": [1, 2]}],
    ids=["items", "parts", "few"],
)
async def test_items_are_counted(path: str, payload: dict[str, Any]) -> None:
    async with predictor(Engine()) as client:
        assert (await client.post(path, json=payload)).status_code == (200 if "tools" in payload else 400)


@pytest.mark.parametrize(
    "body", [b'{"messages": NaN}', '{"messages": []}'.encode("utf-16"), b"\xef\xbb\xbf{}"], ids=["NaN", "UTF-16", "BOM"]
)
@pytest.mark.parametrize("path", [OPENAI[0], V2])
async def test_what_only_the_engine_would_take_for_json_is_no_way_around(path: str, body: bytes) -> None:
    async with predictor(Engine()) as client:
        response = await client.post(path, content=body, headers=JSON)
        error = response.json() if path == V2 else response.json()["error"]
        assert (response.status_code, error["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (OPENAI[0], {"content-type": "Application/JSON ; charset=utf-8", "content-encoding": "Identity"}, 200),
        (OPENAI[0], {"content-type": "text/plain"}, 415),
        (OPENAI[0], {}, 415),
        (OPENAI[0], {"content-type": "application/json; charset=utf-16"}, 415),
        (OPENAI[0], {**JSON, "content-encoding": "gzip"}, 415),
        (V2, {"content-type": "text/plain"}, 200),  # as Triton's clients send it
        (V2, {"content-encoding": "gzip"}, 415),
    ],
)
async def test_a_body_that_is_not_said_to_be_plain_json_in_utf_8_is_a_415(
    path: str, headers: dict[str, str], status: int
) -> None:
    async with predictor(Engine()) as client:
        assert (await client.post(path, content=b"{}", headers=headers)).status_code == status


NULLS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "fields": ({"model": "m", "n": None, "stop": None, "x": {"y": None}}, {"model": "m", "x": {"y": None}}),
    "fields of messages": (
        {"messages": [{"role": "assistant", "content": None, "tool_calls": None}, "x", None]},
        {"messages": [{"role": "assistant", "content": None}, "x", None]},
    ),
    "fields of items": ({"input": [{"id": None, "content": "x"}], "tools": None}, {"input": [{"content": "x"}]}),
    "ids of tokens": ({"input": [[1, 2], [3]], "encoding_format": None}, {"input": [[1, 2], [3]]}),
    "a large body": ({"input": "x" * 100_000, "user": None}, {"input": "x" * 100_000}),
    "none": ({"input": "null", "messages": [{"content": None}]}, {"input": "null", "messages": [{"content": None}]}),
}


@pytest.mark.parametrize(("given", "passed"), NULLS.values(), ids=NULLS)
async def test_an_explicit_null_is_an_absent_field(given: dict[str, Any], passed: dict[str, Any]) -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, 200, await read_body(receive, scope, LIMIT), TEXT)

    async with predictor(Engine(), echo) as client:
        assert (await client.post("/openai/v1/embeddings", json=given)).json() == passed


async def test_the_first_wrong_item_of_a_response_is_the_last_that_is_validated() -> None:
    engine = Engine()
    async with predictor(engine) as client:
        response = await client.post("/openai/v1/responses", json={"input": [GOOD, GOOD, BAD, *[BAD] * 1000]})
    error = response.json()["error"]
    assert (response.status_code, error["param"], engine.validated) == (400, "input[2]", 3)
    assert error["message"].startswith("input[2] is no item of the Responses API: ")
    assert error["message"].endswith("content.0.text: Input should be a valid string")


@pytest.mark.parametrize("given", [[GOOD] * 100, "text", 5])
async def test_what_is_valid_or_no_list_is_for_the_engine(given: object) -> None:
    engine = Engine()
    async with predictor(engine) as client:
        payload = {"input": given}
        response = await client.post("/openai/v1/responses", json=payload)
        assert (response.status_code, int(response.text)) == (200, len(response.request.content))
    assert engine.validated == (len(given) if isinstance(given, list) else 0)


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/openai/v1/audio/transcriptions", {"content-type": "multipart/form-data; boundary=a"}, b"[" * 10_000),
        (V2, {"inference-header-content-length": "2"}, b"{}" + b"[" * 10_000),
        ("/openai/v1/load_lora_adapter", {}, b""),
    ],
    ids=["a form", "binary tensors", "nothing"],
)
async def test_bytes_that_are_no_json_are_not_read_as_such(path: str, headers: dict[str, str], body: bytes) -> None:
    async with predictor(Engine()) as client:
        response = await client.post(path, content=body, headers=headers)
        assert (response.status_code, response.text) == (200, str(len(body)))


async def test_bodies_count_as_memory_of_the_server_until_the_response() -> None:
    async with predictor(Engine()) as client:
        body = orjson.dumps({"messages": [], "user": "x" * (LIMIT - 100)})
        for _ in range(5):  # each is given back
            assert (await client.post(OPENAI[0], content=body, headers=JSON)).status_code == 200
        assert (await client.post(OPENAI[0], content=body + b" " * 1000, headers=JSON)).status_code == 413


@pytest.mark.parametrize(
    ("header", "tensors", "status", "sentence"),
    [
        ("2", b"good", 200, "6"),
        ("2", b"bad", 400, "the binary tensors cannot be read: b'bad' ends early"),
        ("6", b"good", 400, "b'' ends early"),
        ("7", b"good", 400, "inference-header-content-length is 7, and the body has 6 bytes"),
        ("-1", b"good", 400, "inference-header-content-length is -1, and the body has 6 bytes"),
        ("9" * 5000, b"good", 400, "inference-header-content-length is 99999999999999999999, and the body has 6 bytes"),
    ],
)
async def test_binary_tensors_that_cannot_be_read_are_the_clients_fault(
    header: str, tensors: bytes, status: int, sentence: str
) -> None:
    async with predictor(Engine()) as client:
        headers = {"inference-header-content-length": header}
        response = await client.post("/v2/models/m/infer", content=b"{}" + tensors, headers=headers)
    assert response.status_code == status
    assert sentence in response.text


USER = {"role": "user", "content": "x"}
FILLING = {**USER, "content": "x" * 100_000}  # makes the body one that is read as an outline


def call(arguments: object) -> dict[str, Any]:
    function = {"name": "f", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": function}]}


DEEP = {"arrays": "[" * 100_000, "objects": '{"a":' * 2000 + "1" + "}" * 2000, "a little": "[" * (JSON_DEPTH + 1)}
WITHIN: dict[str, tuple[Callable[[str], dict[str, Any]], str]] = {
    "a tool call": (lambda text: {"messages": [USER, call(text)]}, "messages[1].tool_calls[0].function.arguments"),
    "a large body": (lambda text: {"messages": [FILLING, call(text)]}, "messages[1].tool_calls[0].function.arguments"),
    "a function call": (
        lambda text: {"messages": [{"role": "assistant", "function_call": {"arguments": text}}]},
        "messages[0].function_call.arguments",
    ),
    "an item": (lambda text: {"input": [{"type": "function_call", "arguments": text}]}, "input[0].arguments"),
}


@pytest.mark.parametrize("deep", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize(("of_text", "place"), WITHIN.values(), ids=WITHIN)
async def test_json_within_a_text_is_bounded_like_the_body(
    of_text: Callable[[str], dict[str, Any]], place: str, deep: str
) -> None:
    async with predictor(Engine()) as client:
        response = await client.post(OPENAI[0], json=of_text(deep))
        error = response.json()["error"]
        sentence = f"{place} is nested more than {JSON_DEPTH} levels deep"
        assert (response.status_code, error["param"], error["message"]) == (400, place, sentence)
        for text in ('{"a": [1]}', "no JSON", "["):
            assert (await client.post(OPENAI[0], json=of_text(text))).status_code == 200


CHOICE = {"type": "function", "function": {"name": "f"}}
NAMED = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    "tool",
    [{}, {"type": "function"}, {"type": "function", "function": {}}, {"type": "custom", "name": "f"}, "f", None, []],
    ids=str,
)
async def test_tools_of_which_one_is_chosen_by_name_have_names(tool: object) -> None:
    async with predictor(Engine()) as client:
        chosen = {"messages": [USER], "tools": [NAMED, tool], "tool_choice": CHOICE}
        response = await client.post(OPENAI[0], json=chosen)
        error = response.json()["error"]
        assert (response.status_code, error["param"]) == (400, "tools[1]")
        assert error["message"].startswith("tools[1] must be ")
        assert (await client.post(OPENAI[0], json={**chosen, "tools": [NAMED]})).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("messages", 400), ("tokenizer", 400), ("enable_thinking", 200)])
async def test_a_variable_of_a_template_is_no_argument_of_what_renders_it(name: str, status: int) -> None:
    async with predictor(Engine()) as client:
        response = await client.post(OPENAI[0], json={"messages": [USER], "chat_template_kwargs": {name: []}})
        assert response.status_code == status
        if status == 400:
            assert response.json()["error"]["param"] == f"chat_template_kwargs.{name}"
