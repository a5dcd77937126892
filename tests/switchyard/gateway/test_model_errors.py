"""Errors of a model that speaks another protocol than the caller, through a real gateway and the caller's own SDK."""

import json
from pathlib import Path
from typing import Any

import anthropic
import pytest
from tritonclient.utils import InferenceServerException

from switchyard.catalog import Catalog, Model
from switchyard.gateway.errors import from_model
from switchyard.http.api_errors import ApiError, Shape, as_object
from tests.switchyard.gateway.conftest import Call, Script, gateway

VLLM: dict[str, Any] = {
    "message": "max_tokens must be positive",
    "type": "Bad Request",
    "param": "max_tokens",
    "code": 400,
}
OURS: dict[str, Any] = {
    "message": "no step is for this",
    "type": "not_found_error",
    "param": None,
    "code": "no_step_matches",
}
NO_ROUTE = "model m does not serve this path; GET /docs lists what each kind of model serves"


def rejecting(status: int, payload: Any, **headers: str) -> Script:
    async def reject(call: Call) -> None:
        await call.answer(payload, status, **headers)

    return reject


@pytest.mark.parametrize("model", ["chat", "sleepy"])
async def test_a_stream_that_the_model_rejects_is_an_error_to_anthropics_sdk(tmp_path: Path, model: str) -> None:
    async with (
        gateway(tmp_path, rejecting(400, {"error": VLLM})) as bench,
        anthropic.AsyncAnthropic(base_url=bench.url, api_key="none", max_retries=0) as sdk,
    ):
        with pytest.raises(anthropic.APIStatusError, match="must be positive") as caught:
            async with sdk.messages.stream(model=model, max_tokens=1, messages=[]) as stream:
                assert not [text async for text in stream.text_stream]
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "invalid_request_error"


async def test_anthropics_own_error_from_a_model_passes_as_it_is(tmp_path: Path) -> None:
    own = {"type": "error", "error": {"type": "rate_limit_error", "message": "slower"}, "request_id": "7"}
    async with gateway(tmp_path, rejecting(429, own, retry_after="9")) as bench:
        plain = await bench.http.post("/v1/messages", json={"model": "chat", "messages": []})
        assert (plain.status_code, plain.json(), plain.headers["retry-after"]) == (429, own, "9")
        stream = await bench.http.post("/v1/messages", json={"model": "sleepy", "messages": [], "stream": True})
        assert "event: error\ndata: " + json.dumps(own, separators=(",", ":")) + "\n\n" in stream.text


async def test_a_graphs_error_is_one_that_tritons_client_can_print(tmp_path: Path) -> None:
    async with gateway(tmp_path, rejecting(404, {"error": OURS})) as bench:
        answer = await bench.http.post("/v2/models/chat/infer", json={"inputs": []})
        assert (answer.status_code, answer.json()) == (
            404,
            {"error": "no step is for this", "code": "no_step_matches"},
        )
    error = InferenceServerException(msg=answer.json()["error"], status="404")
    assert str(error) == "[404] no step is for this"


NO_SUCH_PATH = ApiError("not_found", "POST /openai/v1/embeddings is not served here")


@pytest.mark.parametrize(
    ("path", "shape"),
    [
        ("/v1/embeddings", "openai"),
        ("/v1/chat/completions", "openai"),
        ("/v1/messages", "anthropic"),
        ("/v2/models/auto/infer", "v2"),
    ],
)
async def test_a_path_that_a_graphs_step_has_not_is_named_as_the_client_sent_it(
    tmp_path: Path, path: str, shape: Shape
) -> None:
    async with gateway(tmp_path, rejecting(404, as_object(NO_SUCH_PATH, shape))) as bench:
        bench.catalog.replace(Catalog({"auto": Model(name="auto", kind="graph", url=bench.model.url)}))
        asked = {"model": "auto", "messages": [], "input": "", "inputs": []}
        response = await bench.http.post(path, json=asked)
        assert response.status_code == 404
        message = f"graph auto does not serve POST {path}, as its step does not; GET /docs lists what does"
        assert response.json() == as_object(ApiError("not_found", message), shape)


async def test_a_text_gets_the_protocols_shape_and_when_to_try_again_passes(tmp_path: Path) -> None:
    async def plain(call: Call) -> None:
        await call.start(500, b"text/plain")
        await call.end(b"Internal Server Error")

    async with gateway(tmp_path, plain) as bench:
        answer = await bench.chat()
        assert (answer.status_code, answer.json()["error"]["message"]) == (500, "Internal Server Error")
        bench.model.script = rejecting(503, {"detail": "loading"}, retry_after="7")
        answer = await bench.chat()
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")
        assert (answer.json()["error"]["message"], answer.json()["error"]["code"]) == ("loading", "model_error")


@pytest.mark.parametrize(
    ("status", "payload", "expected"),
    [
        (400, {"error": VLLM}, ("invalid_value", 400, "max_tokens must be positive", "max_tokens")),
        (404, {"error": OURS}, ("no_step_matches", 404, "no step is for this", None)),
        (500, {"error": "out of memory"}, ("model_error", 500, "out of memory", None)),
        (400, {"object": "error", "message": "old form"}, ("invalid_value", 400, "old form", None)),
        (
            422,
            {"detail": [{"loc": ["body", 23], "msg": "not JSON"}, {"loc": [], "msg": "x"}]},
            ("invalid_value", 422, "model m cannot read this request: body.23: not JSON; : x", None),
        ),
        (422, {"detail": [1]}, ("invalid_value", 422, "model m cannot read this request", None)),
        (404, {"detail": "no such adapter"}, ("not_found", 404, "no such adapter", None)),
        (404, {"detail": "Not Found"}, ("not_found", 404, NO_ROUTE, None)),
        (405, {"detail": "Method Not Allowed"}, ("invalid_value", 405, NO_ROUTE, None)),
        (500, {"error": None}, ("model_error", 500, "model m responded with 500", None)),
        (500, None, ("model_error", 500, "model m responded with 500", None)),
        (200, None, ("upstream_invalid", 502, "model m responded with 200", None)),
    ],
)
def test_a_models_error_keeps_its_status_and_sentence(
    status: int, payload: dict[str, Any] | None, expected: tuple[str, int, str, str | None]
) -> None:
    error = from_model(status, payload, "m")
    assert (error.code, error.status, error.message, error.param) == expected
