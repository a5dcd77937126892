"""Requests of every kind, found in a real store by id, trace and tenant, in all processes that they passed.

What clients sent is searched for in the end, in all of the store and of the logs: each place where a process could
quote it has had a text of its own.
"""

import io
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tritonclient.grpc
from PIL import Image, ImageDraw

from tests.live.observability.shipping import Store, found, shipped
from tests.live.observability.traffic import KEYS, SharedPlatform
from tests.live.processes import eventually

pytestmark = pytest.mark.live

CANARY = "canary" + uuid.uuid4().hex
CHAT = "/v1/chat/completions"
SECONDS = 500.0  # for the first response of a model, which sleeps, on a busy machine


def canary(where: str) -> str:
    """A text that says where it was sent, should it be found."""
    return f"{CANARY}-{where}"


@dataclass(frozen=True)
class Sent:
    """A request: its ids and its response's status."""

    request: str
    trace: str
    status: int
    text: str


@pytest.fixture(scope="module")
def store(observed: SharedPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with shipped(tmp_path_factory.mktemp("store") / "of", f"{observed.state}/logs/*.log*") as made:
        yield made


@pytest.fixture(scope="module")
def http(observed: SharedPlatform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=observed.url, timeout=SECONDS, trust_env=False) as client:
        yield client


def ids(tenant: str) -> dict[str, str]:
    """Headers of a request of a tenant, forged ones among them."""
    return {
        "authorization": f"Bearer {KEYS[tenant]}",
        "x-request-id": uuid.uuid4().hex,
        "traceparent": f"00-{uuid.uuid4().hex}-b7ad6b7169203331-01",
        "x-switchyard-tenant": canary("tenant"),
        "x-switchyard-key-id": canary("key-id"),
        "x-canary": canary("header"),
    }


def send(http: httpx.Client, path: str, tenant: str = "acme", **request: Any) -> Sent:
    headers = {**ids(tenant), **request.pop("headers", {})}
    response = http.post(path, headers=headers, params={"q": canary("query")}, **request)
    return Sent(headers["x-request-id"], headers["traceparent"][3:35], response.status_code, response.text)


def chat(model: str, where: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": canary(where)}], "max_tokens": 4, **fields}


def text_image() -> bytes:
    image = Image.new("RGB", (320, 64), "white")
    ImageDraw.Draw(image).text((8, 16), "READ ME 42", fill="black", font_size=28)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def check(store: Store, sent: Sent, services: set[str], tenant: str = "acme") -> None:
    """Find a request's lines by its id and its trace: one ``responded`` of each process at least, and its tenant."""
    for query in (f'request_id:="{sent.request}"', f'trace_id:="{sent.trace}"'):
        rows = found(store, f"{query} _msg:=responded", services)
        assert {(row["tenant"], row["key_id"]) for row in rows} == {(tenant, f"{tenant}-key")}
        assert {row["request_id"] for row in rows} == {sent.request}
    named = store.rows(f'tenant:="{tenant}" request_id:="{sent.request}"')
    assert services <= {row["service.name"] for row in named}


def test_a_chat_to_auto_is_found_in_all_processes(http: httpx.Client, store: Store) -> None:
    sent = send(http, CHAT, json=chat("auto", "auto"))
    assert sent.status == 200, sent.text
    model = json.loads(sent.text)["model"]
    check(store, sent, {"gateway", "local", "auto", "complexity", model})


@pytest.mark.parametrize("stream", [False, True])
def test_a_chat_is_found(http: httpx.Client, store: Store, stream: bool) -> None:
    sent = send(http, CHAT, "globex", json=chat("chat-fast", "chat", stream=stream))
    assert sent.status == 200, sent.text
    check(store, sent, {"gateway", "local", "chat-fast"}, "globex")


def test_an_ocr_request_is_found_in_every_process(http: httpx.Client, store: Store) -> None:
    sent = send(http, "/v1/ocr", content=text_image(), headers={"content-type": "image/png"})
    assert sent.status == 200, sent.text
    assert "42" in sent.text
    check(store, sent, {"gateway", "local", "vision"})


@pytest.mark.parametrize("model", ["chat-fast", "ocr"])
def test_a_call_of_grpc_is_found(observed: SharedPlatform, store: Store, model: str) -> None:
    headers = ids("acme")
    asked = tritonclient.grpc.InferInput("text_input" if model == "chat-fast" else "image", [1], "BYTES")
    asked.set_data_from_numpy(np.array([canary("grpc").encode() if model == "chat-fast" else text_image()], np.object_))
    parameters = {"max_tokens": 4} if model == "chat-fast" else {}
    with closing(tritonclient.grpc.InferenceServerClient(observed.grpc_target)) as client:
        client.infer(model, [asked], headers=headers, parameters=parameters, client_timeout=SECONDS)
    sent = Sent(headers["x-request-id"], headers["traceparent"][3:35], 0, "")
    check(store, sent, {"gateway", "local", "chat-fast" if model == "chat-fast" else "vision"})


def test_an_error_is_found_where_it_ended(http: httpx.Client, store: Store) -> None:
    sent = send(http, CHAT, json=chat("chat-fast", "error", temperature=-1))
    assert sent.status == 400
    check(store, sent, {"gateway", "local", "chat-fast"})
    unknown = send(http, CHAT, json=chat(canary("model"), "unknown"))
    assert unknown.status == 404
    check(store, unknown, {"gateway"})


def test_a_cancelled_request_is_found(http: httpx.Client, store: Store) -> None:
    headers, body = ids("acme"), chat("chat-fast", "cancelled", stream=True, max_tokens=900, ignore_eos=True)
    with http.stream("POST", CHAT, headers=headers, json=body) as response:
        next(response.iter_bytes())
    sent = Sent(headers["x-request-id"], headers["traceparent"][3:35], 0, "")
    check(store, sent, {"gateway", "local", "chat-fast"})
    (row,) = store.rows(f'request_id:="{sent.request}" service.name:=gateway _msg:=responded')
    assert row["error"] == "the client disconnected"


JSON = {"content-type": "application/json"}
TOOL = {"type": "function", "function": {"name": canary("tool"), "parameters": {"type": canary("schema")}}}
CALL = {"id": "1", "type": "function", "function": {"name": canary("call"), "arguments": canary("arguments")}}
WRONG: Mapping[str, Mapping[str, Any]] = {
    "unknown field": chat("chat-fast", "a", **{canary("field"): canary("value")}),
    "tools": chat("chat-fast", "b", tools=[TOOL], tool_choice="required"),
    "tool call": {**chat("chat-fast", "c"), "messages": [{"role": "assistant", "tool_calls": [CALL]}]},
    "json schema": chat(
        "chat-fast",
        "d",
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": canary("js")}}},
    ),
    "pattern": chat("chat-fast", "e", structured_outputs={"regex": f"({canary('regex')}"}),
    "grammar": chat("chat-fast", "f", structured_outputs={"grammar": canary("grammar")}),
    "role": {**chat("chat-fast", "g"), "messages": [{"role": canary("role"), "content": "x"}]},
    "content": {**chat("chat-fast", "h"), "messages": [{"role": "user", "content": {canary("key"): 1}}]},
    "stop": chat("chat-fast", "i", stop={canary("stop"): 1}),
    "template": chat("chat-fast", "j", chat_template=f"{{{{ {CANARY} }} {{% bad"),
    "template's values": chat("chat-fast", "k", chat_template_kwargs={canary("kwarg"): canary("kwvalue")}),
    "bias": chat("chat-fast", "l", logit_bias={canary("bias"): 1}),
    "too long": chat("chat-fast", "m ") | {"messages": [{"role": "user", "content": f"{CANARY} " * 3000}]},
    "image": {
        **chat("chat-fast", "n"),
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": canary("url")}}]}],
    },
    "auto's role": {**chat("auto", "o"), "messages": [{"role": canary("auto"), "content": [canary("part")]}]},
    "conversation": chat("auto", "p", prompt_cache_key={"x": canary("cache")}),
}
OTHERS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "no JSON": (CHAT, {"content": f'{{"model": "chat-fast", "{CANARY}', "headers": JSON}),
    "no JSON for auto": (CHAT, {"content": f'{{"model": "auto", {CANARY}}}', "headers": JSON}),
    "messages": ("/v1/messages", {"json": chat("chat-fast", "q", system={"x": canary("system")})}),
    "messages' tools": ("/v1/messages", {"json": chat("chat-fast", "r", tools=[{"name": canary("t"), "input": 1}])}),
    "responses": ("/v1/responses", {"json": {"model": "chat-fast", "input": [{"type": canary("item")}]}}),
    "completions": ("/v1/completions", {"json": {"model": "chat-fast", "prompt": {canary("prompt"): 1}}}),
    "tokenize": ("/tokenize", {"json": {"model": "chat-fast", "prompt": [canary("tokenize")]}}),
    "path": (f"/v1/{canary('path')}", {"json": {}}),
    "V2 parameters": (
        "/v2/models/chat-fast/infer",
        {"json": {"parameters": {canary("parameter"): canary("pvalue")}, "inputs": [{"name": "text_input"}]}},
    ),
    "V2 input": (
        "/v2/models/chat-fast/infer",
        {"json": {"inputs": [{"name": canary("name"), "shape": [1], "datatype": "BYTES", "data": [canary("data")]}]}},
    ),
    "V2 input of Triton": (
        "/v2/models/ocr/infer",
        {"json": {"inputs": [{"name": canary("tname"), "shape": [1], "datatype": "BYTES", "data": [CANARY]}]}},
    ),
    "V2 type": (
        "/v2/models/image-decode/infer",
        {"json": {"id": canary("id"), "inputs": [{"name": "x", "shape": [canary("shape")], "datatype": CANARY}]}},
    ),
    "V2 version": (f"/v2/models/chat-fast/versions/{canary('version')}/infer", {"json": {}}),
    "broken image": (
        "/v1/ocr",
        {"content": text_image()[:60] + CANARY.encode(), "headers": {"content-type": "image/png"}},
    ),
    "no image": ("/v1/ocr", {"content": CANARY, "headers": {"content-type": f"image/{CANARY}"}}),
    "image's name": ("/v1/ocr", {"files": {canary("form"): (canary("file.png"), b"x", "image/png")}}),
    "wrong key": (CHAT, {"json": chat("chat-fast", "s"), "headers": {"authorization": f"Bearer {CANARY}"}}),
    "wrong ids": (
        CHAT,
        {
            "json": chat("chat-fast", "t"),
            "headers": {"x-request-id": canary("/id"), "traceparent": f"00-{CANARY[:32]}-b7ad6b7169203331-01"},
        },
    ),
}


@pytest.fixture(scope="module")
def everything_wrong(http: httpx.Client, observed: SharedPlatform) -> Mapping[str, int]:
    """The statuses of all that is wrong."""
    statuses = {name: send(http, CHAT, json=body).status for name, body in WRONG.items()}
    statuses |= {name: send(http, path, **request).status for name, (path, request) in OTHERS.items()}
    with closing(tritonclient.grpc.InferenceServerClient(observed.grpc_target)) as client:
        for model, name in (("chat-fast", canary("gin")), (canary("gmodel"), "x"), ("ocr", canary("oin"))):
            asked = tritonclient.grpc.InferInput(name, [1], "BYTES")
            asked.set_data_from_numpy(np.array([canary("gdata").encode()], np.object_))
            with suppress(tritonclient.grpc.InferenceServerException):
                client.infer(model, [asked], headers=ids("acme"), parameters={canary("gp"): canary("gv")})
    return statuses


def test_nothing_that_clients_sent_is_in_the_store_or_the_logs(
    http: httpx.Client, observed: SharedPlatform, store: Store, everything_wrong: Mapping[str, int]
) -> None:
    assert not {name: status for name, status in everything_wrong.items() if status >= 500}, everything_wrong
    last = send(http, CHAT, json=chat("chat-fast", "last"))
    check(store, last, {"gateway", "local", "chat-fast"})
    secrets = [CANARY, CANARY[:32], *KEYS.values()]
    written = [line for path in logs_of(observed) for line in path.read_text(errors="replace").splitlines()]
    kept = [json.dumps(row) for row in store.rows("*")]
    assert len(kept) > 100
    assert [line[:2000] for line in (*written, *kept) if any(secret in line for secret in secrets)] == []


def logs_of(observed: SharedPlatform) -> list[Path]:
    return eventually(lambda: sorted(observed.state.rglob("*.log*")), "logs")  # type: ignore[no-any-return]


def test_the_command_finds_a_tenants_requests_and_a_trace(http: httpx.Client, observed: SharedPlatform) -> None:
    sent = send(http, CHAT, "globex", json=chat("chat-fast", "command"))
    for options in (
        ("--request", sent.request),
        ("--trace", sent.trace),
        ("--trace", sent.trace, "--tenant", "globex"),
    ):
        printed = observed.command("logs", *options).stdout.splitlines()
        assert {json.loads(line)["service"] for line in printed} >= {"gateway", "local", "chat-fast"}
    assert observed.command("logs", "--request", sent.request, "--tenant", "acme").returncode == 1
