"""OpenAI routes through a real gateway: what passes, what is rejected, and how."""

import asyncio
import json
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from switchyard.catalog import State
from tests.switchyard.gateway.conftest import Bench, Call, gateway


async def test_the_openai_sdk_chats_streams_and_lists(bench: Bench) -> None:
    async with openai.AsyncOpenAI(base_url=bench.url + "/v1", api_key="none") as sdk:
        whole = await sdk.chat.completions.create(model="chat", messages=[{"role": "user", "content": "hi"}])
        assert whole.choices[0].message.content == "hello"
        stream = await sdk.chat.completions.create(
            model="chat", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        assert [chunk.choices[0].delta.content async for chunk in stream] == ["hel", "lo"]
        listed = [model.id async for model in await sdk.models.list()]
        assert listed == ["chat", "sleepy", "embed", "ocr", "seer", "broken", "nobody"]


async def test_the_openai_sdk_embeds(bench: Bench) -> None:
    async def embed(call: Call) -> None:
        data = [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}]
        await call.answer({"object": "list", "model": "embed", "data": data, "usage": {"prompt_tokens": 1}})

    bench.model.script = embed
    async with openai.AsyncOpenAI(base_url=bench.url + "/v1", api_key="none") as sdk:
        answer = await sdk.embeddings.create(model="embed", input="x", encoding_format="float")
    assert answer.data[0].embedding == [0.5, 1.0]
    assert bench.model.calls[0].scope["path"] == "/openai/v1/embeddings"


async def test_the_openai_sdk_gets_its_own_error_classes(bench: Bench) -> None:
    async with openai.AsyncOpenAI(base_url=bench.url + "/v1", api_key="none", max_retries=0) as sdk:
        with pytest.raises(openai.NotFoundError) as missing:
            await sdk.chat.completions.create(model="nope", messages=[])
        assert missing.value.code == "model_not_found"
        assert missing.value.param == "model"
        with pytest.raises(openai.BadRequestError, match="kind embedding"):
            await sdk.chat.completions.create(model="embed", messages=[])
        with pytest.raises(openai.InternalServerError, match="its weights are missing"):
            await sdk.chat.completions.create(model="broken", messages=[])


async def test_the_model_list_shows_state_and_length_of_all(bench: Bench) -> None:
    listed = {entry["id"]: entry for entry in (await bench.http.get("/v1/models")).json()["data"]}
    assert listed["chat"]["max_model_len"] == 4096
    assert "max_model_len" not in listed["sleepy"]
    assert [listed[name]["state"] for name in ("chat", "sleepy", "broken")] == ["ready", "asleep", "failed"]
    assert [listed[name]["ready"] for name in ("chat", "sleepy", "broken")] == [True, True, False]
    assert (await bench.http.get("/v1/models/broken")).json() == listed["broken"]
    assert (await bench.http.get("/v1/models/nope")).json()["error"]["code"] == "model_not_found"


async def test_the_body_reaches_the_model_unchanged_and_credentials_do_not(bench: Bench) -> None:
    body = b'{ "model":"chat" , "messages":[ ],  "x":1.50 }'
    headers = {
        "content-type": "application/json; charset=utf-8",
        "authorization": "Bearer secret",
        "x-switchyard-tenant": "forged",
        "x-kept": "yes",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "connection": "keep-alive, x-hop",
        "x-hop": "1",
    }
    answer = await bench.http.post("/v1/chat/completions", content=body, headers=headers)
    assert answer.status_code == 200
    call = bench.model.calls[0]
    assert (call.body, call.scope["path"]) == (body, "/openai/v1/chat/completions")
    assert call.headers[b"x-kept"] == b"yes"
    assert call.headers[b"traceparent"] == headers["traceparent"].encode()
    assert call.headers[b"x-request-id"].decode() == answer.headers["x-request-id"]
    assert not {b"authorization", b"x-switchyard-tenant", b"x-hop"} & set(call.headers)
    assert answer.headers["server"] == "switchyard"


async def test_the_prefix_of_kserve_clients_is_accepted(bench: Bench) -> None:
    answer = await bench.http.post("/openai/v1/completions", json={"model": "chat", "prompt": "x"})
    assert answer.status_code == 200
    assert bench.model.calls[0].scope["path"] == "/openai/v1/completions"


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid_json"),
        (b"", "application/json", 400, "invalid_json"),
        (b"[]", "application/json", 400, "invalid_json"),
        (b'{"model":"chat","temperature":NaN}', "application/json", 400, "invalid_json"),
        (b'{"model":"chat","x":"\xff"}', "application/json", 400, "invalid_json"),
        (b'{"messages":[]}', "application/json", 400, "missing_model"),
        (b'{"model":7}', "application/json", 400, "invalid_value"),
        (b'{"model":"../metrics"}', "application/json", 404, "model_not_found"),
        (b'{"model":"chat"}', "text/plain", 415, "unsupported_media_type"),
    ],
)
async def test_a_request_that_cannot_be_read_is_rejected_with_a_code(
    bench: Bench, content: bytes, content_type: str, status: int, code: str
) -> None:
    answer = await bench.http.post("/v1/chat/completions", content=content, headers={"content-type": content_type})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert not bench.model.calls


async def test_a_failed_model_is_a_503_with_its_reason_that_official_clients_do_not_repeat(bench: Bench) -> None:
    message: Any = {"role": "user", "content": "hi"}
    async with (
        openai.AsyncOpenAI(base_url=f"{bench.url}/v1", api_key="none", max_retries=2) as of_openai,
        anthropic.AsyncAnthropic(base_url=bench.url, api_key="none", max_retries=2) as of_anthropic,
    ):
        with pytest.raises(openai.InternalServerError, match="its weights are missing") as chat:
            await of_openai.chat.completions.create(model="broken", messages=[message])
        with pytest.raises(anthropic.InternalServerError, match="its weights are missing") as messages:
            await of_anthropic.messages.create(model="broken", max_tokens=1, messages=[message])
    for response in (chat.value.response, messages.value.response):
        assert (response.status_code, response.headers["x-should-retry"]) == (503, "false")
        assert "retry-after" not in response.headers
        assert response.request.headers["x-stainless-retry-count"] == "0"
    readable = (await bench.http.get("/v2/models/broken/ready")).headers
    assert (readable["x-should-retry"], "retry-after" in readable) == ("false", False)
    # What time or the next request may end is to be tried again.
    bench.put("broken", state=State(phase="pending", reason="its folder is being checked"))
    pending = (await bench.chat("broken")).headers
    assert (pending["retry-after"], "x-should-retry" in pending) == ("1", False)


async def test_errors_of_the_messages_route_have_anthropics_shape(bench: Bench) -> None:
    answer = await bench.http.post("/v1/messages", json={"model": "nope"})
    assert (answer.status_code, answer.json()["type"]) == (404, "error")


async def test_headers_that_are_rejected_get_an_error_in_the_shape_of_their_path(bench: Bench) -> None:
    for method, count, status in (("TRACE", 1, 501), ("POST", 300, 431)):
        answer = await bench.http.request(method, "/v1/messages", headers=[("a", "b")] * count)
        assert (answer.status_code, answer.json()["type"]) == (status, "error")
        answer = await bench.http.request(method, "/v2/models/chat/infer", headers=[("a", "b")] * count)
        assert (answer.status_code, type(answer.json()["error"])) == (status, str)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/openai/metrics", 404),
        ("GET", "/openai/v2", 404),
        ("POST", "/v1/load_lora_adapter", 404),
        ("POST", "/openai/v1/unload_lora_adapter", 404),
        ("GET", "/openai/health", 404),
        ("GET", "/v1/models/", 404),
        ("GET", "/v1/chat/completions", 405),
        ("DELETE", "/v1/models", 405),
    ],
)
async def test_what_is_not_in_the_table_is_not_reachable(bench: Bench, method: str, path: str, status: int) -> None:
    answer = await bench.http.request(method, path, headers={"x-request-id": "mine"})
    assert answer.status_code == status
    assert answer.json()["error"]["code"] == {404: "not_found", 405: "method_not_allowed"}[status]
    assert answer.headers["x-request-id"] == "mine"
    assert ("allow" in answer.headers) == (status == 405)
    assert not bench.model.calls


@pytest.mark.parametrize("path", ["/v1/models", "/nowhere", "/health", "/readyz", "/metrics", "/docs", "/v2", "/v2/x"])
@pytest.mark.parametrize(("given", "kept"), [("abc.DEF-1_2", True), ("x" * 129, False), ("a b", False), (None, False)])
async def test_every_response_carries_a_request_id(bench: Bench, path: str, given: str | None, kept: bool) -> None:
    answer = await bench.http.get(path, headers={} if given is None else {"x-request-id": given})
    identifier = answer.headers["x-request-id"]
    assert (identifier == given) == kept
    assert kept or len(identifier) == 32


async def test_a_response_to_what_is_not_http_carries_a_request_id_too(bench: Bench) -> None:
    host, port = bench.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"NOT HTTP\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nx-request-id: " in answer


async def test_a_large_body_is_rejected_declared_or_not(tmp_path: Path) -> None:
    async def chunks() -> object:
        for _ in range(4):
            yield b" " * 600

    async with gateway(tmp_path, max_body_bytes=1000) as bench:
        declared = await bench.chat(padding="x" * 2000)
        headers = {"content-type": "application/json"}
        undeclared = await bench.http.post("/v1/completions", content=chunks(), headers=headers)  # type: ignore[arg-type]
        for answer in (declared, undeclared):
            assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
        assert (await bench.chat()).status_code == 200


async def test_more_requests_than_the_gateway_takes_are_told_to_come_back(tmp_path: Path) -> None:
    release = asyncio.Event()

    async def hold(call: Call) -> None:
        await release.wait()
        await call.answer({})

    async with gateway(tmp_path, hold, max_in_flight=2) as bench:
        held = [asyncio.create_task(bench.chat()) for _ in range(2)]
        while len(bench.model.calls) < 2:
            await asyncio.sleep(0.001)
        rejected = await bench.chat()
        assert (rejected.status_code, rejected.headers["retry-after"]) == (503, "1")
        assert rejected.json()["error"]["code"] == "overloaded"
        release.set()
        assert [(await task).status_code for task in held] == [200, 200]
        assert (await bench.chat()).status_code == 200


async def test_the_models_own_error_passes_unchanged(tmp_path: Path) -> None:
    async def reject(call: Call) -> None:
        await call.answer({"error": {"message": "too long"}}, 422, x_own="1")

    async with gateway(tmp_path, reject) as bench:
        answer = await bench.chat()
        assert (answer.status_code, answer.json(), answer.headers["x-own"]) == (
            422,
            {"error": {"message": "too long"}},
            "1",
        )


async def test_a_fault_of_the_gateway_is_opaque(bench: Bench, tmp_path: Path) -> None:
    bench.put("chat", url="not a url")
    answer = await bench.chat()
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "url" not in answer.text


async def test_a_catalog_that_cannot_be_read_is_not_ready(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "catalog.json").write_text("{")
    assert (await bench.http.get("/readyz")).status_code == 503
    assert (await bench.http.get("/health")).status_code == 200
    assert (await bench.chat()).json()["error"]["code"] == "catalog_unreadable"


async def test_requests_are_counted_by_model_route_and_code(bench: Bench) -> None:
    await bench.chat()
    await bench.chat("no-such-name")
    head = "gateway_requests_total{"
    assert await bench.metric(head + 'code="200",model="chat",outcome="ok",route="/v1/chat/completions"} 1.0')
    assert await bench.metric(head + 'code="404",model="unknown",outcome="rejected",route="/v1/chat/completions"} 1.0')


async def test_the_openapi_document_holds_every_route(bench: Bench) -> None:
    document = json.loads((await bench.http.get("/openapi.json")).content)
    assert {"/v1/chat/completions", "/v2/models/{model}/infer", "/health", "/generate"} <= set(document["paths"])
