"""Errors in every shape, as the protocols' official clients show them."""

import json
from typing import Any

import anthropic
import openai
import pytest

from switchyard.http.api_errors import CODES, ApiError, Shape, event, render, shape_of
from tests.switchyard.http.conftest import Peer, upstream

SENTENCE = "model «x» is not here; GET /v1/models lists them"
SHAPES: tuple[Shape, ...] = ("openai", "anthropic", "v2", "text")


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/chat/completions", "openai"),
        ("/openai/v1/embeddings", "openai"),
        ("/v1/models/m", "openai"),
        ("/tokenize", "openai"),
        ("/", "openai"),
        ("/v1/messages", "anthropic"),
        ("/openai/v1/messages/count_tokens", "anthropic"),
        ("/v1/messagesother", "openai"),
        ("/v2", "v2"),
        ("/v2/models/m/infer", "v2"),
        ("/v2x", "openai"),
        ("/openai/v2", "openai"),
        ("/v1/models/m:predict", "v2"),
        ("/v1/chat/m", "text"),
        ("/v1/code/m", "text"),
    ],
)
def test_a_path_says_which_protocol_its_client_speaks(path: str, shape: Shape) -> None:
    assert shape_of(path) == shape_of(path.encode()) == shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("code", CODES)
def test_every_code_has_its_sentence_in_every_shape(code: str, shape: Shape) -> None:
    content_type, body = render(ApiError(code, SENTENCE, param="model"), shape)
    if shape == "text":
        assert (content_type, body.decode()) == (b"text/plain; charset=utf-8", SENTENCE + "\n")
        return
    assert content_type == b"application/json"
    found = json.loads(body)
    if shape == "v2":
        assert found == {"error": SENTENCE, "code": code}
    elif shape == "openai":
        assert found["error"].keys() == {"message", "type", "param", "code"}
        assert (found["error"]["message"], found["error"]["param"], found["error"]["code"]) == (SENTENCE, "model", code)
    else:
        assert (found["type"], found["error"]["message"]) == ("error", SENTENCE)
        assert found["error"]["details"] == {"error_code": code}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_event_of_an_error_names_itself_where_the_protocol_wants_it(shape: Shape) -> None:
    lines = event(ApiError("model_failed", SENTENCE), shape).decode().split("\n")
    assert (lines[0] == "event: error") == (shape == "anthropic")
    assert json.loads(lines[-3].removeprefix("data: "))["error"]
    assert lines[-2:] == ["", ""]


def test_a_503_says_when_to_try_again_or_that_it_is_of_no_use_and_a_405_which_methods_there_are() -> None:
    assert ApiError("overloaded", "x").headers == [(b"retry-after", b"1")]
    assert ApiError("model_failed", "x", retry_after=2.1).headers == [(b"retry-after", b"3")]
    assert ApiError("model_failed", "x", final=True).headers == [(b"x-should-retry", b"false")]
    assert ApiError("upstream_invalid", "x", status=503).headers == [(b"retry-after", b"1")]
    assert ApiError("method_not_allowed", "x", allow="GET, POST").headers == [(b"allow", b"GET, POST")]
    assert ApiError("invalid_json", "x").headers == []


OPENAI: dict[int, tuple[type[openai.APIStatusError], str]] = {
    400: (openai.BadRequestError, "invalid_request_error"),
    401: (openai.AuthenticationError, "authentication_error"),
    403: (openai.PermissionDeniedError, "permission_error"),
    404: (openai.NotFoundError, "not_found_error"),
    413: (openai.APIStatusError, "invalid_request_error"),
    429: (openai.RateLimitError, "rate_limit_error"),
    500: (openai.InternalServerError, "server_error"),
    503: (openai.InternalServerError, "server_error"),
    504: (openai.InternalServerError, "server_error"),
}
ANTHROPIC: dict[int, tuple[type[anthropic.APIStatusError], str]] = {
    400: (anthropic.BadRequestError, "invalid_request_error"),
    401: (anthropic.AuthenticationError, "authentication_error"),
    402: (anthropic.APIStatusError, "billing_error"),
    403: (anthropic.PermissionDeniedError, "permission_error"),
    404: (anthropic.NotFoundError, "not_found_error"),
    408: (anthropic.APIStatusError, "timeout_error"),
    409: (anthropic.ConflictError, "conflict_error"),
    413: (anthropic.APIStatusError, "request_too_large"),
    415: (anthropic.APIStatusError, "invalid_request_error"),
    429: (anthropic.RateLimitError, "rate_limit_error"),
    500: (anthropic.InternalServerError, "api_error"),
    502: (anthropic.InternalServerError, "api_error"),
    503: (anthropic.InternalServerError, "overloaded_error"),
    504: (anthropic.InternalServerError, "timeout_error"),
}
MESSAGES: Any = [{"role": "user", "content": "x"}]


def whole(error: ApiError, shape: Shape) -> bytes:
    content_type, body = render(error, shape)
    head = b"HTTP/1.1 %d X\r\ncontent-type: %b\r\ncontent-length: %d\r\n\r\n"
    return head % (error.status, content_type, len(body)) + body


def within_a_stream(error: ApiError, shape: Shape) -> bytes:
    body = event(error, shape)
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def sends(data: bytes) -> Any:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.send(data)

    return script


@pytest.mark.parametrize("status", OPENAI)
async def test_openais_client_shows_the_sentence(status: int) -> None:
    error = ApiError("invalid_value", SENTENCE, status=status, param="model")
    async with upstream(sends(whole(error, "openai"))) as server:
        client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="x", max_retries=0)
        with pytest.raises(OPENAI[status][0]) as failure:
            await client.chat.completions.create(model="x", messages=MESSAGES)
        await client.close()
    assert SENTENCE in failure.value.message
    assert (failure.value.type, failure.value.code) == (OPENAI[status][1], "invalid_value")
    assert failure.value.param == "model"


async def test_openais_client_shows_the_sentence_of_an_error_within_a_stream() -> None:
    async with upstream(sends(within_a_stream(ApiError("model_failed", SENTENCE), "openai"))) as server:
        client = openai.AsyncOpenAI(base_url=server.url + "/v1", api_key="x", max_retries=0)
        stream = await client.chat.completions.create(model="x", messages=MESSAGES, stream=True)
        with pytest.raises(openai.APIError) as failure:
            [chunk async for chunk in stream]
        await client.close()
    assert (failure.value.message, failure.value.code) == (SENTENCE, "model_failed")


@pytest.mark.parametrize("status", ANTHROPIC)
async def test_anthropics_client_shows_the_sentence(status: int) -> None:
    error = ApiError("invalid_value", SENTENCE, status=status)
    async with upstream(sends(whole(error, "anthropic"))) as server:
        client = anthropic.AsyncAnthropic(base_url=server.url, api_key="x", max_retries=0)
        with pytest.raises(ANTHROPIC[status][0]) as failure:
            await client.messages.create(model="x", max_tokens=1, messages=MESSAGES)
        await client.close()
    assert SENTENCE in str(failure.value)
    assert (failure.value.type, failure.value.error_code) == (ANTHROPIC[status][1], "invalid_value")


async def test_anthropics_client_shows_the_sentence_of_an_error_within_a_stream() -> None:
    async with upstream(sends(within_a_stream(ApiError("model_failed", SENTENCE), "anthropic"))) as server:
        client = anthropic.AsyncAnthropic(base_url=server.url, api_key="x", max_retries=0)
        stream = await client.messages.create(model="x", max_tokens=1, messages=MESSAGES, stream=True)
        with pytest.raises(anthropic.APIStatusError) as failure:
            [event async for event in stream]
        await client.close()
    assert SENTENCE in str(failure.value)
    assert failure.value.error_code == "model_failed"
