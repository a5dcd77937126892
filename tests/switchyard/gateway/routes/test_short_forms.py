"""Short forms: small requests in, small answers out, OpenAI in between."""

import json
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.routes.short_forms import CHAT_FORM
from switchyard.http.api_errors import ApiError
from switchyard.http.sse import Events
from tests.switchyard.gateway.conftest import Bench, Call, gateway


async def test_chat_in_one_field_uses_the_first_language_model(bench: Bench) -> None:
    answer = await bench.http.post("/v1/llm/chat", json={"prompt": "hi", "system": "be kind", "max_tokens": 5})
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    assert answer.json() == {"model": "chat", "text": "hello", "finish_reason": "stop", "usage": usage}
    (call,) = bench.model.calls
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}]
    assert json.loads(call.body) == {"model": "chat", "messages": messages, "max_tokens": 5}
    assert call.scope["path"] == "/openai/v1/chat/completions"


async def test_the_default_model_is_a_setting(tmp_path: Path) -> None:
    async with gateway(tmp_path, default_model="sleepy") as bench:
        assert (await bench.http.post("/generate", json={"text": "hi"})).json()["model"] == "sleepy"
        assert bench.model.calls[0].scope["path"] == "/openai/v1/completions"


async def test_a_form_that_streams_gives_events_with_text(bench: Bench) -> None:
    answer = await bench.http.post("/v1/llm/chat", json={"prompt": "hi", "model": "chat", "stream": True})
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.text == 'data: {"text":"hel"}\n\ndata: {"text":"lo"}\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("route", ["chat", "code"])
async def test_text_goes_in_and_comes_out(bench: Bench, route: str) -> None:
    answer = await bench.http.post(f"/v1/{route}/chat", content="sort a list, please")
    assert (answer.text, answer.headers["content-type"]) == ("hello", "text/plain; charset=utf-8")
    roles = [message["role"] for message in bench.model.bodies[0]["messages"]]
    assert roles == (["user"] if route == "chat" else ["system", "user"])


@pytest.mark.parametrize(
    ("path", "content", "status", "sentence"),
    [
        ("/v1/chat/nope", b"hi", 404, "does not exist"),
        ("/v1/chat/embed", b"hi", 400, "kind embedding"),
        ("/v1/chat/chat", b"  ", 400, "empty"),
        ("/v1/chat/chat", b"\xff", 400, "UTF-8"),
    ],
)
async def test_errors_of_text_routes_are_sentences(
    bench: Bench, path: str, content: bytes, status: int, sentence: str
) -> None:
    answer = await bench.http.post(path, content=content)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
    assert sentence in answer.text
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": 1}, {"prompt": "x", "typo": 1}])
async def test_a_form_with_wrong_fields_is_rejected(bench: Bench, body: dict[str, object]) -> None:
    answer = await bench.http.post("/v1/llm/chat", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_value")


VALUES: list[object] = ["", "9", 0, 1, 0.5, True, False, [], {}]
TYPES = {"system": (str,), "model": (str,), "max_tokens": (int,), "temperature": (int, float), "stream": (bool,)}


@pytest.mark.parametrize("field", TYPES)
def test_a_forms_option_takes_values_of_its_type_alone_and_a_boolean_is_no_number(field: str) -> None:
    for value in VALUES:
        body = orjson.dumps({"prompt": "x", field: value})
        with (
            nullcontext()
            if type(value) in TYPES[field]
            else pytest.raises(ApiError, match=f"field {field} has a value of the wrong type")
        ):
            CHAT_FORM.request(body, {})


async def test_the_models_error_becomes_the_forms(tmp_path: Path) -> None:
    async def reject(call: Call) -> None:
        await call.answer({"error": {"message": "too long"}}, 422)

    async with gateway(tmp_path, reject) as bench:
        answer = await bench.http.post("/v1/chat/chat", content="hi")
        assert (answer.status_code, answer.text) == (422, "too long\n")


@given(st.data())
def test_events_are_found_however_the_bytes_are_split(data: st.DataObject) -> None:
    stream = b": comment\n\ndata: one\r\n\r\nevent: x\ndata: t\ndata: wo\n\ndata:three\n\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1))))
    edges = [0, *cuts, len(stream)]
    events = Events()
    found = [event for start, end in pairwise(edges) for event in events.feed(stream[start:end])]
    assert found == [b"one", b"t\nwo", b"three"]


async def test_an_event_that_never_ends_is_the_models_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.http.sse.EVENT_BYTES", 1000)

    async def endless(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        await call.end(b"data: " + b"x" * 5000)

    async with gateway(tmp_path, endless) as bench:
        response = await bench.http.post("/v1/llm/chat", json={"model": "chat", "prompt": "hi", "stream": True})
        assert '"code":"upstream_invalid"' in response.text
