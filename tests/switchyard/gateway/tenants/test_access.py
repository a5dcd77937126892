"""Who may do what: protocol by key, each with the status, the shape and the code that its client reads."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc.aio
import httpx
import pytest
from tritonclient.grpc import service_pb2

from switchyard.gateway.routes.table import ROUTES, RPC_ROUTES
from tests.recorded_spans import PARENT, KeptSpans
from tests.switchyard.gateway.conftest import Call, completion, gateway
from tests.switchyard.gateway.tenants.access import KEYS, MALFORMED, tenants
from tests.switchyard.gateway.test_v2 import GrpcBench, infer, rpc_gateway

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
INFER = {"inputs": [{"name": "in", "datatype": "INT32", "shape": [1], "data": [1]}]}


async def respond(call: Call) -> None:
    """Respond as a chat model, or to V2."""
    await (completion if call.scope["path"].startswith("/openai") else infer)(call)


@pytest.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[GrpcBench]:
    async with rpc_gateway(tmp_path, respond, tenants=await tenants(tmp_path)) as one:
        yield one


class State(NamedTuple):
    """A key, and what becomes of a request with it."""

    key: str | None
    status: int
    sentence: str


STATES = {
    "none": State(None, 401, "has no API key; send one as authorization: Bearer, x-api-key or api-key"),
    "unknown": State(KEYS["unknown"], 401, "is not known here"),
    "malformed": State(MALFORMED, 401, "or a letter of it is wrong"),
    "expired": State(KEYS["expired"], 401, "the API key expired-key has expired"),
    "revoked": State(KEYS["revoked"], 401, "the API key revoked-key was revoked"),
    "ok": State(KEYS["acme"], 200, ""),
    "other model": State(KEYS["team"], 404, "The model `chat` does not exist; GET /v1/models lists those that do."),
    "no role": State(KEYS["scraper"], 403, "the API key scraper-key has no role use"),
}
CODES = {401: "invalid_api_key", 403: "permission_denied", 404: "model_not_found"}
TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}
REQUESTS: dict[str, tuple[str, Any]] = {
    "openai": ("/v1/chat/completions", CHAT),
    "anthropic": ("/v1/messages", CHAT),
    "v2": ("/v2/models/chat/infer", INFER),
    "v1": ("/v1/models/chat:predict", {"instances": [{}]}),
    "text": ("/v1/chat/chat", None),
}


def headers(key: str | None, name: str = "authorization") -> dict[str, str]:
    return {} if key is None else {name: f"Bearer {key}" if name == "authorization" else key}


def code_and_sentence(protocol: str, status: int, response: httpx.Response) -> tuple[str, str]:
    """The code and sentence of an error, read from where the protocol has them."""
    if protocol == "text":
        return CODES[status], response.text
    body = response.json()
    if protocol in ("v2", "v1"):
        return body["code"], body["error"]
    if protocol == "anthropic":
        assert (body["type"], body["error"]["type"]) == ("error", TYPES[status])
        return body["error"]["details"]["error_code"], body["error"]["message"]
    assert body["error"]["type"] == ("invalid_request_error" if status == 404 else TYPES[status])
    return body["error"]["code"], body["error"]["message"]


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("protocol", REQUESTS)
async def test_a_model_is_used_with_a_valid_key_alone(protocol: str, state: str, rpc: GrpcBench) -> None:
    key, status, sentence = STATES[state]
    path, payload = REQUESTS[protocol]
    sent: dict[str, Any] = {"content": "x"} if payload is None else {"json": payload}
    response = await rpc.bench.http.post(path, **sent, headers=headers(key))

    if status == 200 and protocol == "v1":
        status = 400  # a valid key: what is wrong is the kind of the model
    assert response.status_code == status, response.text
    assert (response.headers.get("www-authenticate") == 'Bearer realm="switchyard"') is (status == 401)
    if status in CODES:
        code, said = code_and_sentence(protocol, status, response)
        assert (code, sentence in said) == (CODES[status], True), said
    assert len(rpc.bench.model.calls) == (status == 200)


RPC_CODES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 200: "OK"}


@pytest.mark.parametrize("state", STATES)
async def test_a_model_is_used_over_grpc_with_a_valid_key_alone(state: str, rpc: GrpcBench) -> None:
    key, status, sentence = STATES[state]
    request = service_pb2.ModelInferRequest(model_name="chat")
    metadata = tuple(headers(key).items())
    code, said = await outcome(rpc.stub.ModelInfer(request, metadata=metadata))
    assert (code, sentence in said) == (RPC_CODES[status], True), said
    assert len(rpc.model.metadata) == (status == 200)


async def outcome(call: Any) -> tuple[str, str]:
    try:
        await call
    except grpc.aio.AioRpcError as err:
        return err.code().name, err.details() or ""
    return "OK", ""


@pytest.mark.parametrize("other", ["acme", "unknown"])
@pytest.mark.parametrize("name", ["authorization", "api-key", "x-api-key"])
async def test_a_header_with_a_key_is_there_once(name: str, other: str, rpc: GrpcBench) -> None:
    both = [*headers(KEYS["acme"], name).items(), *headers(KEYS[other], name).items()]
    for sent in (both, both[::-1]):
        response = await rpc.bench.http.post("/v1/chat/completions", json=CHAT, headers=sent)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
        assert "more than once" in response.json()["error"]["message"]
        request = service_pb2.ModelInferRequest(model_name="chat")
        code, said = await outcome(rpc.stub.ModelInfer(request, metadata=tuple(sent)))
        assert (code, "more than once" in said) == ("UNAUTHENTICATED", True)
    assert not rpc.bench.model.calls
    assert not rpc.model.metadata


@pytest.mark.parametrize("name", ["authorization", "api-key", "x-api-key"])
async def test_each_header_that_clients_send_a_key_in_is_read_and_goes_no_further(name: str, rpc: GrpcBench) -> None:
    forged = {"x-switchyard-tenant": "globex", "x-switchyard-key-id": "globex-key", "x-switchyard-log": "1"}
    sent = headers(KEYS["acme"], name) | forged
    assert (await rpc.bench.http.post("/v1/chat/completions", json=CHAT, headers=sent)).status_code == 200
    await rpc.stub.ModelInfer(service_pb2.ModelInferRequest(model_name="chat"), metadata=tuple(sent.items()))

    (call,), (metadata,) = rpc.bench.model.calls, rpc.model.metadata
    assert call.headers[b"x-switchyard-tenant"] == b"acme"
    assert metadata["x-switchyard-tenant"] == "acme"
    assert call.headers[b"x-switchyard-key-id"] == b"acme-key"
    assert metadata["x-switchyard-key-id"] == "acme-key"
    assert b"x-switchyard-log" not in call.headers
    assert "x-switchyard-log" not in metadata
    assert name.encode() not in call.headers
    assert name not in metadata
    assert KEYS["acme"] not in str(call.scope["headers"]) + str(metadata)


async def test_a_header_of_another_scheme_does_not_hide_a_key(rpc: GrpcBench) -> None:
    sent = {"authorization": "Basic eDp5", "x-api-key": KEYS["acme"]}
    assert (await rpc.bench.http.get("/v1/models", headers=sent)).status_code == 200


def _may(access: str, key: str | None) -> bool:
    """Whether a key gets further than to 401 and 403, as the table of routes says."""
    if access == "open":
        return True
    roles = {KEYS["acme"]: {"use"}, KEYS["scraper"]: {"admin"}, KEYS["admin"]: {"use", "admin"}}.get(key or "", set())
    return bool(roles) if access == "key" else access in roles


@pytest.mark.parametrize("name", ["none", "acme", "scraper", "admin"])
async def test_every_route_asks_for_what_the_table_says(name: str, rpc: GrpcBench) -> None:
    key = KEYS.get(name)
    for route in ROUTES:
        path = route.path.replace("{model}", "nope").replace("{version}", "1").replace("{key_id}", "nope")
        response = await rpc.bench.http.request(route.method, path, headers=headers(key))
        assert (response.status_code not in (401, 403)) is _may(route.access, key), (route.method, route.path)
    for route in RPC_ROUTES:
        if route.rpc != "ModelStreamInfer":
            request = getattr(service_pb2, f"{route.rpc}Request")()
            code, said = await outcome(getattr(rpc.stub, route.rpc)(request, metadata=tuple(headers(key).items())))
            assert (code not in ("UNAUTHENTICATED", "PERMISSION_DENIED")) is _may(route.access, key), (route.rpc, said)


async def test_a_key_of_the_metrics_reads_these_and_is_known_to_no_other_route(tmp_path: Path) -> None:
    scrapers = ("of Prometheus", "its successor")
    digests = tuple(hashlib.sha256(one.encode()).digest() for one in scrapers)
    asking = rpc_gateway(tmp_path, respond, tenants=await tenants(tmp_path), metrics_key_sha256=digests)
    async with asking as rpc:
        for sent in (headers(scrapers[0]), headers(scrapers[1], "x-api-key"), headers(KEYS["scraper"])):
            response = await rpc.bench.http.get("/metrics", headers=sent)
            assert (response.status_code, "gateway_tenants 2.0" in response.text) == (200, True)
        for sent in (headers(None), headers("of prometheus"), headers(digests[0].hex())):
            assert (await rpc.bench.http.get("/metrics", headers=sent)).status_code == 401
        for route in ROUTES:
            path = route.path.replace("{model}", "chat").replace("{version}", "1").replace("{key_id}", "acme-key")
            response = await rpc.bench.http.request(route.method, path, headers=headers(scrapers[0]))
            reads = route.path == "/metrics" or route.access == "open"
            assert (response.status_code == 401) is not reads, (route.method, route.path)
        for route in RPC_ROUTES:
            if route.access != "open" and route.rpc != "ModelStreamInfer":
                request, metadata = getattr(service_pb2, f"{route.rpc}Request")(), tuple(headers(scrapers[0]).items())
                code, said = await outcome(getattr(rpc.stub, route.rpc)(request, metadata=metadata))
                assert code == "UNAUTHENTICATED", (route.rpc, said)
        assert not rpc.bench.model.calls


def test_the_table_asks_for_no_less_than_was_decided() -> None:
    access = {(route.method, route.rpc or route.path): route.access for route in (*ROUTES, *RPC_ROUTES)}
    assert {name for (_, name), asked in access.items() if asked == "open"} == {
        *("/health", "/healthz", "/readyz", "/docs", "/openapi.json"),
        *("/v2/health/live", "/v2/health/ready", "ServerLive", "ServerReady"),
    }
    assert {name for (_, name), asked in access.items() if asked == "admin"} == {
        *("/metrics", "/v2/models/stats", "RepositoryModelLoad", "RepositoryModelUnload"),
        *("/v2/repository/models/{model}/load", "/v2/repository/models/{model}/unload"),
        *(f"/v1/organization/admin_api_keys{rest}" for rest in ("", "/{key_id}", "/{key_id}/rotate")),
        "/v1/organization/cache",
        "/v1/organization/audit_logs",
    }
    assert {name for (_, name), asked in access.items() if asked == "key"} == {
        *("/v1/models", "/v1/models/{model}", "/v2", "/v2/models", "/v2/repository/index"),
        *(f"/v1/organization/usage/{kind}" for kind in ("completions", "embeddings", "images", "rows")),
        "/v1/organization/costs",
        "/v1/stream",  # of which each request asks for what its own route does
        *("/v2/models/{model}/ready", "/v2/models/{model}/versions/{version}/ready"),
        *("ServerMetadata", "ModelReady", "RepositoryIndex"),
    }


async def test_what_is_rejected_is_counted_by_reason_and_read_by_an_admin(rpc: GrpcBench) -> None:
    for state in STATES.values():
        await rpc.bench.http.get("/v1/models", headers=headers(state.key))
    rejected = await rpc.bench.http.get("/metrics", headers=headers(KEYS["acme"]))
    shown = await rpc.bench.http.get("/metrics", headers=headers(KEYS["scraper"]))
    assert (rejected.status_code, rejected.json()["error"]["code"]) == (403, "permission_denied")
    lines = shown.text.splitlines()
    for reason in ("missing", "unknown", "malformed", "expired", "revoked"):
        assert f'gateway_keys_rejected_total{{reason="{reason}"}} 1.0' in lines
    assert {"gateway_tenants 2.0", "gateway_keys 7.0", "gateway_tenants_outdated 0.0"} <= set(lines)


async def test_a_body_is_not_waited_for_without_a_key(tmp_path: Path) -> None:
    async with gateway(tmp_path, tenants=await tenants(tmp_path)) as bench:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(bench.url.rpartition(":")[2]))
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n{")
        async with asyncio.timeout(5):
            assert await reader.readline() == b"HTTP/1.1 401 Unauthorized\r\n"
        writer.close()


async def test_a_page_asks_before_it_sends_a_key_and_that_needs_none(tmp_path: Path) -> None:
    origin = "https://a.example"
    async with gateway(tmp_path, tenants=await tenants(tmp_path), cors_allow_origins=(origin,)) as bench:
        asked = {"origin": origin, "access-control-request-headers": "authorization"}
        response = await bench.http.options("/v1/chat/completions", headers=asked)
        assert (response.status_code, response.headers["access-control-allow-headers"]) == (204, "authorization")
        sent = {"origin": origin, **headers(KEYS["acme"])}
        assert (await bench.http.post("/v1/chat/completions", json=CHAT, headers=sent)).status_code == 200
    assert json.loads(bench.model.calls[0].body) == CHAT


async def test_a_call_without_a_valid_key_is_recorded_in_no_trace_of_its_clients(tmp_path: Path) -> None:
    kept = KeptSpans()
    async with gateway(tmp_path, tracer=kept.tracer, tenants=await tenants(tmp_path)) as bench:
        assert (await bench.http.get("/v1/models", headers={"traceparent": PARENT})).status_code == 401
        assert kept.ended == []
        assert (await bench.http.get("/v1/models")).status_code == 401
    assert [one.attributes["error.type"] for one in kept.ended] == ["invalid_api_key"]


async def test_without_traces_a_call_without_a_valid_key_is_answered_whatever_trace_it_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with gateway(tmp_path, tenants=await tenants(tmp_path)) as bench:
        assert (await bench.http.get("/v1/models", headers={"traceparent": PARENT})).status_code == 401
    assert not [one for one in caplog.records if one.levelname == "ERROR"]
