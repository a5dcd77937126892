"""Official clients with a key, unmodified: each sends it in its own header and raises its own exceptions."""

import io
import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http
from tritonclient.utils import InferenceServerException

from switchyard.gateway.tenants.keys import FORM
from switchyard.telemetry.logs import JsonFormatter
from tests.switchyard.gateway.conftest import Call, completion
from tests.switchyard.gateway.tenants.access import KEYS, MALFORMED, tenants
from tests.switchyard.gateway.tenants.test_access import headers
from tests.switchyard.gateway.test_v2 import GrpcBench, infer, rpc_gateway

MESSAGES: Any = [{"role": "user", "content": "x"}]
ANTHROPIC = {
    "id": "1",
    "type": "message",
    "role": "assistant",
    "model": "chat",
    "content": [{"type": "text", "text": "hello"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}


async def respond(call: Call) -> None:
    """Respond in the protocol of the path."""
    path = call.scope["path"]
    if path.endswith("/messages"):
        await call.answer(ANTHROPIC)
    else:
        await (completion if path.startswith("/openai") else infer)(call)


@pytest.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[GrpcBench]:
    async with rpc_gateway(tmp_path, respond, tenants=await tenants(tmp_path)) as one:
        yield one


async def test_openais_client(rpc: GrpcBench) -> None:
    def client(key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=rpc.bench.url + "/v1", api_key=key, max_retries=0)

    async with client(KEYS["acme"]) as acme:
        assert [model.id async for model in acme.models.list()] == ["chat", "sleepy", "ocr"]
        said = await acme.chat.completions.create(model="chat", messages=MESSAGES)
        assert said.choices[0].message.content == "hello"
        stream = await acme.chat.completions.create(model="chat", messages=MESSAGES, stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == "hello"
        with pytest.raises(openai.NotFoundError, match="`seer` does not exist"):
            await acme.chat.completions.create(model="seer", messages=MESSAGES)
    async with client(KEYS["unknown"]) as unknown:
        with pytest.raises(openai.AuthenticationError, match="is not known here") as raised:
            await unknown.models.list()
        assert raised.value.code == "invalid_api_key"
    async with client(KEYS["scraper"]) as scraper:
        with pytest.raises(openai.PermissionDeniedError, match="has no role use"):
            await scraper.chat.completions.create(model="chat", messages=MESSAGES)


async def test_anthropics_client(rpc: GrpcBench) -> None:
    def client(key: str) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(base_url=rpc.bench.url, api_key=key, max_retries=0)

    async with client(KEYS["acme"]) as acme:
        message = await acme.messages.create(model="chat", max_tokens=1, messages=MESSAGES)
        assert message.content[0].text == "hello"  # type: ignore[union-attr]
    async with client(KEYS["expired"]) as expired:
        with pytest.raises(anthropic.AuthenticationError, match="expired-key has expired"):
            await expired.messages.create(model="chat", max_tokens=1, messages=MESSAGES)


async def test_tritons_http_client(rpc: GrpcBench) -> None:
    client = triton_http.InferenceServerClient(rpc.target)
    sent = headers(KEYS["acme"])
    try:
        assert await client.is_server_live()
        assert {one["name"] for one in await client.get_model_repository_index(headers=sent)} == {
            "chat",
            "ocr",
            "sleepy",
        }
        assert (await client.infer("ocr", [], headers=sent)).get_response()["model_name"] == "ocr"
        with pytest.raises(InferenceServerException, match="has no API key") as raised:
            await client.infer("ocr", [])
        assert raised.value.status() == "401"
        with pytest.raises(InferenceServerException, match="has no role admin") as raised:
            await client.unload_model("ocr", headers=sent)
        assert raised.value.status() == "403"
    finally:
        await client.close()


async def test_tritons_grpc_client(rpc: GrpcBench) -> None:
    async with triton_grpc.InferenceServerClient(rpc.target) as client:
        sent = headers(KEYS["acme"])
        assert await client.is_server_live()
        assert {one.name for one in (await client.get_model_repository_index(headers=sent)).models} == {
            "chat",
            "ocr",
            "sleepy",
        }
        assert (await client.infer("ocr", [], headers=sent)).get_response().model_name == "ocr"
        with pytest.raises(InferenceServerException, match="has no API key") as raised:
            await client.infer("ocr", [])
        assert raised.value.status() == "StatusCode.UNAUTHENTICATED"
        with pytest.raises(InferenceServerException, match="has no role admin") as raised:
            await client.unload_model("ocr", headers=sent)
        assert raised.value.status() == "StatusCode.PERMISSION_DENIED"
        await client.unload_model("ocr", headers=headers(KEYS["admin"]))
    assert rpc.model.loads == ["unload ocr"]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All logging at its most detailed, as a process of ours writes it."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger("switchyard")
    handler.setFormatter(JsonFormatter("gateway"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


async def test_no_log_metric_error_or_model_ever_has_a_key(rpc: GrpcBench, logged: io.StringIO) -> None:
    keys = [*KEYS.values(), MALFORMED]
    said = []
    for name in ("authorization", "x-api-key", "api-key"):
        for key in keys:
            sent = headers(key, name)
            for path in ("/v1/chat/completions", "/v1/messages", "/v2/models/chat/infer", "/v1/nowhere"):
                body: Any = {"model": "nobody" if key == KEYS["globex"] else "chat", "messages": []}
                response = await rpc.bench.http.post(path, json=body, headers=sent)
                said.append(response.text + str(response.headers))
            said.append((await rpc.bench.http.post("/v1/chat/completions", content=b"{", headers=sent)).text)
    metrics = (await rpc.bench.http.get("/metrics", headers=headers(KEYS["admin"]))).text
    received = "".join(str(call.scope) + str(call.body) for call in rpc.bench.model.calls)
    everything = "".join(said) + metrics + received + logged.getvalue()

    assert [key for key in keys if key in everything] == []
    lines = logged.getvalue()
    assert '"tenant":"acme"' in lines
    assert '"key_id":"acme-key"' in lines
    assert re.findall(FORM, everything) == []
