"""What frameworks say is wrong with a request, and what clients read in place of it: one table of real validations."""

import json
import sys
from collections.abc import Iterator
from typing import Any, Literal

import fastapi
import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from pydantic import BaseModel, TypeAdapter, ValidationError

from predictors.serving.admission import Admission
from predictors.serving.application import Application
from predictors.serving.faults import of_engine
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import DisabledTracer
from tests.one_server.processes import run
from tests.ports import free_port

THEIRS = (
    "pydantic",
    "Input should",
    "Field required",
    "{'",
    "loc",
    "body.",
    "parameter=",
    "Traceback",
    "does not exist.",
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    base, folder = f"http://127.0.0.1:{(port := free_port())}", tmp_path_factory.mktemp("server")
    with run([sys.executable, "-m", "tests.testdata.raising_server", str(port)], folder, base):
        yield base


def post(url: str, body: object) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(url, content=content, headers={"content-type": "application/json"}, trust_env=False)


CHAT, MESSAGES, EMBEDDINGS = "/v1/chat/completions", "/v1/messages", "/v1/embeddings"
V2 = "/v2/models/m/infer"
USER = {"role": "user", "content": "x"}
PART = {"type": "text", "text": 5}
FAULTS: list[tuple[str, object, str]] = [
    (CHAT, {}, "messages is missing"),
    (CHAT, {"messages": "x"}, 'messages must be a list, not "x"'),
    (CHAT, {"messages": [USER], "temperature": "hot"}, 'temperature must be a number, not "hot"'),
    (CHAT, {"messages": [USER], "stop": 5}, "stop must be a string or a list, not 5"),
    (CHAT, {"messages": [USER, {"role": "user"}]}, "messages[1].content is missing"),
    (CHAT, {"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id is missing"),
    (CHAT, {"messages": [{"role": "x", "content": "x"}]}, "messages[0].role must be 'user' or 'tool', not \"x\""),
    (CHAT, {"messages": [{**USER, "content": [PART]}]}, "messages[0].content[0].text must be a string, not 5"),
    (CHAT, {"messages": [{**USER, "content": 5}] * 5000}, "messages[0].content must be a string or a list, not 5"),
    (CHAT, {"messages": "x" * 100_000}, "messages must be a list"),
    (CHAT, [1], "the body must be a JSON object"),
    (CHAT, b"", "the body is empty; send a JSON object"),
    (CHAT, b"{", "the body is not JSON: "),
    (CHAT, b'{"messages": "\xe9"}', "the body is not JSON in UTF-8"),
    (EMBEDDINGS, {}, "input is missing, or messages is missing"),
    (EMBEDDINGS, {"input": "x", "encoding_format": 1}, "encoding_format must be 'float' or 'base64', not 1"),
    (V2, {}, "inputs is missing"),
    (V2, {"inputs": [{"shape": [1]}]}, "inputs[0].name is missing"),
    (V2, {"inputs": [{}]}, "inputs[0].name is missing; inputs[0].shape is missing"),
    (V2, {"inputs": [], "id": 5}, "id must be a string, not 5"),
    (V2, [1], "the body must be a JSON object"),
]


@pytest.mark.parametrize(("path", "body", "sentence"), FAULTS, ids=[row[2][:50] for row in FAULTS])
def test_a_request_that_is_not_valid_is_a_400_that_says_where_and_what_to_send(
    url: str, path: str, body: object, sentence: str
) -> None:
    code = "invalid_json" if "not JSON" in sentence else "invalid_value"
    param = None if sentence.startswith("the body") else sentence.partition(" ")[0]
    expected = {
        CHAT: {"type": "invalid_request_error", "param": param, "code": code},
        EMBEDDINGS: {"type": "invalid_request_error", "param": param, "code": code},
        MESSAGES: {"type": "invalid_request_error", "details": {"error_code": code}},
        V2: {"code": code},
    }
    for where in (path, MESSAGES) if path == CHAT else (path,):
        response = post(url + where, body)
        assert response.status_code == 400
        error = response.json() if where == V2 else response.json()["error"]
        message = error.pop("error" if where == V2 else "message")
        assert error == expected[where]
        assert message.startswith(sentence)
        assert len(response.content) < 1000  # however many things are wrong, and however long they are
        assert not [words for words in THEIRS if words in message]


@pytest.mark.parametrize(
    ("name", "status", "code", "sentence"),
    [
        ("unknown", 404, "model_not_found", f"there is no model '{'n' * 80}' here"),
        ("waking", 503, "model_not_ready", "Model with name m is not ready."),
        ("stopping", 503, "model_not_ready", "it stops"),
        ("text", 400, "invalid_json", "the body is not JSON: unexpected end of data: line 1 column 2 (char 1)"),
        ("invalid", 400, "invalid_value", "inputs are none; send one"),
        ("failed", 500, "model_error", "out of memory"),
        ("own", 503, "overloaded", "try again shortly"),
        ("deep", 400, "invalid_value", "a text of the request holds JSON that is nested too deeply"),
        ("bug", 500, "internal_error", "this is a bug; the reason is in the service's log"),
    ],
)
def test_what_is_raised_is_an_error_with_a_code(url: str, name: str, status: int, code: str, sentence: str) -> None:
    response = post(f"{url}/v2/raise/{name}", {})
    assert (response.status_code, response.json()) == (status, {"error": sentence, "code": code})
    assert ("retry-after" in response.headers) == (status == 503)


def test_a_path_or_method_that_is_not_served_is_an_error_of_its_protocol(url: str) -> None:
    assert post(f"{url}/v2/nope", {}).json()["code"] == "not_found"
    assert post(f"{url}/v1/nope", {}).json()["error"]["code"] == "not_found"
    response = httpx.get(url + CHAT, trust_env=False)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["code"] == "method_not_allowed"


class Text(BaseModel):
    type: Literal["text"]


class Image(BaseModel):
    type: Literal["image_url"]


def validation() -> str:
    """The text of a validation that vLLM makes by itself, of the parts of a message."""
    try:
        TypeAdapter(list[Text | Image]).validate_python([{"type": "zzz"}])
    except ValidationError as err:
        return str(err)
    raise AssertionError


ENGINE: list[tuple[int, dict[str, Any], str, str]] = [
    (400, {"message": "n must be 1. (parameter=n, value=0)", "param": "n"}, "n must be 1.", "invalid_value"),
    (404, {"message": "no model", "param": "model"}, "no model", "model_not_found"),
    (400, {"message": validation()}, "content[0].type must be 'text' or 'image_url'", "invalid_value"),
    (500, {"message": "no memory"}, "no memory", "model_error"),
    (501, {"message": "no such task"}, "no such task", "not_implemented"),
    (503, {"message": "gone", "code": "model_failed", "param": None}, "gone", "model_failed"),
    (400, {"message": "x" * 100_000}, "x" * 1000 + "…", "invalid_value"),
    (500, {}, "the model responded 500", "model_error"),
]


@pytest.mark.parametrize(("status", "error", "sentence", "code"), ENGINE, ids=[row[2][:40] for row in ENGINE])
async def test_errors_that_vllm_composes_have_our_codes_in_every_protocol(
    status: int, error: dict[str, Any], sentence: str, code: str
) -> None:
    said = json.dumps({"error": {"code": status, **error}}) if error else "Internal Server Error"
    read = of_engine(status, said.encode())
    assert (read.status, read.code, read.message) == (status, code, sentence)
    engine = FastAPI()

    @engine.post("/{path:path}")
    async def fail(path: str) -> fastapi.Response:
        return fastapi.Response(said, status)

    admission = Admission("m", 1, InferenceMetrics(CollectorRegistry()), DisabledTracer())
    whole = Application(openai=engine, kserve=engine, admission=admission)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url="http://m") as client:
        chat = await client.post("/openai" + CHAT)
        messages = await client.post("/openai" + MESSAGES)
    assert (chat.status_code, messages.status_code) == (status, status)
    assert (chat.json()["error"]["code"], chat.json()["error"]["param"]) == (code, error.get("param", read.param))
    shown = messages.json()["error"]
    assert (shown["message"], shown["details"]) == (sentence, {"error_code": code})


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/openai/v1/chat/completions", "messages"),
        ("/openai/v1/completions", "prompt"),
        ("/openai/v1/responses", "input"),
        ("/openai/v1/embeddings", "input"),
        ("/openai/v1/messages", "messages"),
        ("/openai/v1/messages/count_tokens", "messages"),
        ("/openai/v1/score", None),
    ],
)
@pytest.mark.parametrize("theirs", [{"param": "input_text"}, {"param": "input_tokens"}, {}])
def test_a_prompt_that_is_too_long_is_the_field_of_its_route(
    path: str, field: str | None, theirs: dict[str, str]
) -> None:
    message = "This model's maximum context length is 8 tokens. However, your prompt contains 9 input tokens."
    error = of_engine(400, json.dumps({"error": {"code": 400, "message": message, **theirs}}).encode(), path)
    assert (error.code, error.param, error.message) == ("context_length_exceeded", field, message)
