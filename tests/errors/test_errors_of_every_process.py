"""One table: protocol by error by process. Each response has its protocol's shape, and official clients show it.

A client that only prints what it raises must still tell a person what was wrong.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import httpx
import openai
import pytest

from switchyard.http.api_errors import CODES, Shape
from tests.errors.origins import LIMIT, ORIGINS
from tests.switchyard.http.test_api_errors import ANTHROPIC, OPENAI

CHAT = json.dumps({"model": "chat", "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}).encode()
TENSORS = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}).encode()
IMAGE = json.dumps({"image": "aGVsbG8="}).encode()
LARGE = json.dumps({"model": "chat", "messages": [], "padding": "x" * 2 * LIMIT}).encode()


class Case(NamedTuple):
    """A request and the error that it gets."""

    origin: str
    error: str
    shape: Shape
    path: str
    body: bytes
    code: str
    status: int = 0

    @property
    def expected(self) -> int:
        return self.status or CODES[self.code]


def of(model: str) -> bytes:
    return CHAT.replace(b'"chat"', json.dumps(model).encode())


def gateway() -> Iterator[Case]:
    chat, messages, text = "/v1/chat/completions", "/v1/messages", "/v1/chat/"
    for shape, path in (("openai", chat), ("anthropic", messages), ("openai", "/openai/v1/completions")):
        yield Case("gateway", "bad JSON", shape, path, b"{", "invalid_json")  # type: ignore[arg-type]
        yield Case("gateway", "unknown", shape, path, of("nope"), "model_not_found")  # type: ignore[arg-type]
        yield Case("gateway", "wrong kind", shape, path, of("embed"), "wrong_model_kind")  # type: ignore[arg-type]
    yield Case("gateway", "bad JSON", "text", text + "chat", b"", "invalid_value")
    yield Case("gateway", "unknown", "text", text + "nope", b"hi", "model_not_found")
    yield Case("gateway", "wrong kind", "text", text + "embed", b"hi", "wrong_model_kind")
    yield Case("gateway", "unknown", "v2", "/v2/models/nope/infer", TENSORS, "model_not_found")
    yield Case("gateway", "wrong kind", "v2", "/v2/models/embed/generate", TENSORS, "wrong_model_kind")
    yield Case("gateway", "unknown", "v2", "/v1/models/nope:predict", IMAGE, "model_not_found")
    for path, shape in (
        (chat, "openai"),
        (messages, "anthropic"),
        (text + "chat", "text"),
        ("/v2/models/ocr/infer", "v2"),
    ):
        yield Case("gateway", "too large", shape, path, LARGE, "body_too_large")  # type: ignore[arg-type]
        yield Case("gateway", "overloaded", shape, path, CHAT, "overloaded")  # type: ignore[arg-type]
        yield Case("gateway", "internal", shape, path, CHAT, "internal_error")  # type: ignore[arg-type]


PATHS: dict[Shape, str] = {
    "openai": "/openai/v1/chat/completions",
    "anthropic": "/openai/v1/messages",
    "v2": "/v2/models/chat/infer",
}


def router() -> Iterator[Case]:
    for shape, path in PATHS.items():
        yield Case("router", "bad JSON", shape, path, b"{", "no_step_matches")
        yield Case("router", "unknown", shape, path, CHAT, "no_step_matches")
        yield Case("router", "too large", shape, path, LARGE, "body_too_large")
        yield Case("router", "unreachable", shape, path, CHAT, "upstream_unreachable", 500)


def activator() -> Iterator[Case]:
    for shape, path in PATHS.items():
        yield Case("activator", "too large", shape, path, LARGE, "body_too_large")
        yield Case("activator", "overloaded", shape, path, CHAT, "overloaded")
        yield Case("activator", "failed", shape, path, CHAT, "model_failed")
        yield Case("activator", "internal", shape, path, CHAT, "internal_error")


def complexity() -> Iterator[Case]:
    paths: list[tuple[Shape, str]] = [("openai", "/"), ("openai", PATHS["v2"]), ("anthropic", PATHS["anthropic"])]
    for shape, path in paths:  # bodies are chats on every path
        yield Case("complexity", "bad JSON", shape, path, b"{", "invalid_json")
        yield Case("complexity", "wrong value", shape, path, b'{"model": 3}', "invalid_value")
        yield Case("complexity", "too large", shape, path, LARGE, "body_too_large")
        yield Case("complexity", "overloaded", shape, path, CHAT, "overloaded")
    yield Case("complexity", "internal", "openai", "/", CHAT, "internal_error")


def predictor() -> Iterator[Case]:
    for shape, path in PATHS.items():
        yield Case("predictor", "too large", shape, path, LARGE, "body_too_large")
        yield Case("predictor", "overloaded", shape, path, CHAT, "overloaded")
        yield Case("predictor", "internal", shape, path, CHAT, "internal_error")


def vision() -> Iterator[Case]:
    image, infer = "/v1/vision/", "/v2/models/"
    yield Case("vision", "bad JSON", "openai", image + "ocr/chat", b"{", "invalid_json")
    yield Case("vision", "bad JSON", "v2", "/v2/repository/models/ocr/load", b"{", "invalid_json")
    yield Case("vision", "unknown", "openai", image + "nope", IMAGE, "model_not_found")
    yield Case("vision", "unknown", "v2", infer + "nope/infer", TENSORS, "model_not_found")
    yield Case("vision", "wrong value", "openai", image + "ocr", b"{}", "invalid_value")
    yield Case("vision", "too large", "openai", image + "ocr", LARGE, "body_too_large")
    yield Case("vision", "too large", "v2", infer + "ocr/infer", LARGE, "body_too_large")
    yield Case("vision", "overloaded", "openai", image + "ocr", IMAGE, "overloaded")
    yield Case("vision", "overloaded", "v2", infer + "ocr/infer", TENSORS, "overloaded")
    yield Case("vision", "unreachable", "openai", image + "ocr", IMAGE, "upstream_unreachable")
    yield Case("vision", "unreachable", "v2", infer + "ocr/infer", TENSORS, "upstream_unreachable")
    yield Case("vision", "internal", "openai", image + "ocr", IMAGE, "internal_error")


CASES = [*gateway(), *router(), *activator(), *complexity(), *predictor(), *vision()]


def name(case: Case) -> str:
    return f"{case.origin}-{case.error}-{case.path}"


@pytest.mark.parametrize("case", CASES, ids=name)
async def test_an_error_has_the_shape_of_its_protocol_and_official_clients_show_it(case: Case, tmp_path: Path) -> None:
    async with ORIGINS[case.origin](case.error, tmp_path) as url:
        sentence = await sentence_in(case, url)
        if case.shape == "openai":
            await shown_by_openai(case, url, sentence)
        elif case.shape == "anthropic":
            await shown_by_anthropic(case, url, sentence)
    assert len(sentence) > 10
    assert "secret" not in sentence  # what failed in there is for the log


def test_every_process_is_in_the_table_with_every_protocol_that_it_speaks() -> None:
    assert {case.origin for case in CASES} == set(ORIGINS)
    for origin in ("gateway", "router", "activator", "predictor"):
        assert {"openai", "anthropic", "v2"} <= {case.shape for case in CASES if case.origin == origin}


async def sentence_in(case: Case, url: str) -> str:
    """The sentence of the response, after its shape was looked at."""
    headers = {"content-type": "text/plain" if case.shape == "text" else "application/json"}
    async with httpx.AsyncClient() as http:
        response = await http.post(url + case.path, content=case.body, headers=headers)
    assert response.status_code == case.expected, response.text
    assert ("retry-after" in response.headers) == (case.expected == 503)
    if case.shape == "text":
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        return response.text.strip()
    assert response.headers["content-type"] == "application/json"
    error = response.json()
    if case.origin == "router":
        error.pop("cause")  # for clients of KServe's router
    if case.shape == "v2":
        assert (set(error), error["code"]) == ({"error", "code"}, case.code)
        return str(error["error"])
    if case.shape == "anthropic":
        assert (set(error), error["type"]) == ({"type", "error"}, "error")
        assert error["error"]["details"] == {"error_code": case.code}
    else:
        assert set(error) == {"error"}
        assert set(error["error"]) == {"message", "type", "param", "code"}
        assert error["error"]["code"] == case.code
    return str(error["error"]["message"])


async def shown_by_openai(case: Case, url: str, sentence: str) -> None:
    client = openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0)
    expected, kind = OPENAI[case.expected]
    with pytest.raises(expected) as failure:
        await posted(client, case)
    await client.close()
    assert (failure.value.status_code, failure.value.type, failure.value.code) == (
        case.expected,
        kind_of(case, kind),
        case.code,
    )
    assert sentence in failure.value.message


def kind_of(case: Case, kind: str) -> str:
    return "invalid_request_error" if case.code == "model_not_found" else kind  # as OpenAI's own API has it


async def shown_by_anthropic(case: Case, url: str, sentence: str) -> None:
    client = anthropic.AsyncAnthropic(base_url=url, api_key="x", max_retries=0)
    expected, kind = ANTHROPIC[case.expected]
    with pytest.raises(expected) as failure:
        await posted(client, case)
    await client.close()
    assert (failure.value.status_code, failure.value.type) == (case.expected, kind)
    assert failure.value.error_code == case.code
    assert sentence in str(failure.value)


async def posted(client: Any, case: Case) -> None:
    options = {"headers": {"content-type": "application/json"}}
    await client.post(case.path, cast_to=object, content=case.body, options=options)
