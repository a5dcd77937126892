"""Who may do what with a token: over HTTP and gRPC, as with a key."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import time
from typing import Any, NamedTuple

import anthropic
import openai
import pytest
import yaml
from tritonclient.grpc import service_pb2

from switchyard.gateway.tenants.file import TenantsFile
from tests.switchyard.gateway.conftest import until
from tests.switchyard.gateway.tenants.access import KEYS, document
from tests.switchyard.gateway.tenants.test_access import (
    CHAT,
    REQUESTS,
    RPC_CODES,
    code_and_sentence,
    headers,
    outcome,
    respond,
)
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway
from tests.switchyard.gateway.tokens.issuing import entry, jwk, published, token

PERSON = entry(team_claim="team", roles_claim="groups", roles={"staff": ["use"], "ops": ["use", "admin"]})


async def tenants(folder: Path, url: str, **changes: Any) -> TenantsFile:
    """The tenants of the keys' tests, and an issuer."""
    path = folder / "tenants.yaml"
    path.write_text(yaml.safe_dump({**document(), "jwt": [{**PERSON, "jwks_url": url, **changes}]}))
    file = TenantsFile(path)
    await file.load()
    return file


@pytest.fixture
async def rpc(tmp_path: Path) -> AsyncIterator[GrpcBench]:
    async with (
        published(jwk("one"), jwk("ec", "ES256"), jwk("ed", "EdDSA")) as login,
        rpc_gateway(tmp_path, respond, tenants=await tenants(tmp_path, login.url)) as one,
    ):
        yield one


class State(NamedTuple):
    """What a token says, and what becomes of a request with it."""

    claims: dict[str, Any]
    status: int
    sentence: str
    reason: str = ""


NOW = int(time())
STATES = {
    "ok": State({}, 200, ""),
    "an old tenant": State(
        {"tenant": "gone"}, 401, "the token names the tenant 'gone', not known here", "token_tenant"
    ),
    "a tenant in other letters": State({"tenant": "Äcme\r\n"}, 401, r"the tenant '\xc4cme\r\n'", "token_tenant"),
    "an old team": State({"team": "gone"}, 401, "the team 'gone' of the tenant 'acme'", "token_tenant"),
    "expired": State({"exp": NOW - 3600}, 401, "the token has expired", "token_expired"),
    "another audience": State({"aud": "x"}, 401, "another audience", "token_audience"),
    "another issuer": State({"iss": "x"}, 401, "the token's issuer 'x' is not known here", "token_issuer"),
    "other model": State({"team": "readers"}, 404, "The model `chat` does not exist"),
    "no role": State({"groups": "guests"}, 403, "the token login:ann has no role use"),
}


def signed(state: State, **changes: Any) -> str:
    return token(**{"groups": ["staff"], **state.claims, **changes})


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("protocol", ["openai", "anthropic", "v2", "text"])
async def test_a_model_is_used_with_a_valid_token_alone(protocol: str, state: str, rpc: GrpcBench) -> None:
    expected = STATES[state]
    path, payload = REQUESTS[protocol]
    sent: dict[str, Any] = {"content": "x"} if payload is None else {"json": payload}
    text = signed(expected)
    for _ in range(2):  # the second time from memory
        response = await rpc.bench.http.post(path, **sent, headers=headers(text))
        assert response.status_code == expected.status, response.text
        assert (response.headers.get("www-authenticate") == 'Bearer realm="switchyard"') is (expected.status == 401)
        if expected.status != 200:
            code, said = code_and_sentence(protocol, expected.status, response)
            assert expected.sentence in said, (code, said)
    calls = rpc.bench.model.calls
    assert len(calls) == (2 if expected.status == 200 else 0)
    assert all(call.headers[b"x-switchyard-tenant"] == b"acme" for call in calls)
    assert text not in str([call.scope["headers"] for call in calls])
    if expected.reason:
        shown = await rpc.bench.http.get("/metrics", headers=headers(KEYS["scraper"]))
        assert f'gateway_keys_rejected_total{{reason="{expected.reason}"}} 2.0' in shown.text.splitlines()
        assert 'gateway_issuers_outdated{issuer="login"} 0.0' in shown.text.splitlines()


@pytest.mark.parametrize("state", STATES)
async def test_a_model_is_used_over_grpc_with_a_valid_token_alone(state: str, rpc: GrpcBench) -> None:
    expected = STATES[state]
    request = service_pb2.ModelInferRequest(model_name="chat")
    code, said = await outcome(rpc.stub.ModelInfer(request, metadata=tuple(headers(signed(expected)).items())))
    assert (code, expected.sentence in said) == (RPC_CODES[expected.status], True), said
    assert [metadata["x-switchyard-tenant"] for metadata in rpc.model.metadata] == ["acme"] * (expected.status == 200)


@pytest.mark.parametrize(("kid", "algorithm"), [("one", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")])
async def test_official_clients_send_a_token_as_they_send_a_key(kid: str, algorithm: str, rpc: GrpcBench) -> None:
    text = token(kid, algorithm, groups=["staff"])
    async with openai.AsyncOpenAI(base_url=rpc.bench.url + "/v1", api_key=text, max_retries=0) as client:
        assert [model.id async for model in client.models.list()] == ["chat", "sleepy", "ocr"]
    async with anthropic.AsyncAnthropic(base_url=rpc.bench.url, auth_token=text, max_retries=0) as other:
        assert [model.id async for model in other.models.list()] == ["chat", "sleepy", "ocr"]
    for name in ("x-api-key", "api-key"):
        assert (await rpc.bench.http.get("/v1/models", headers={name: text})).status_code == 200


async def test_roles_come_of_the_claim(rpc: GrpcBench) -> None:
    for groups, status in ((["staff"], 403), (["ops"], 200), (["staff", "ops"], 200), ([], 403)):
        assert (await rpc.bench.http.get("/metrics", headers=headers(token(groups=groups)))).status_code == status


async def test_a_token_of_many_groups_is_read_and_a_huge_one_is_401(rpc: GrpcBench) -> None:
    large = [f"group-{number:04}" for number in range(500)]
    response = await rpc.bench.http.get("/v1/models", headers=headers(token(groups=[*large, "staff"])))
    assert response.status_code == 200
    response = await rpc.bench.http.get("/v1/models", headers=headers(token(groups=large * 4)))
    assert (response.status_code, "at most 16384 are read" in response.text) == (401, True)


async def test_tenants_that_go_take_their_tokens_with_them(tmp_path: Path) -> None:
    async with published() as login:
        file = await tenants(tmp_path, login.url)
        async with rpc_gateway(tmp_path, respond, tenants=file) as rpc:
            following = asyncio.create_task(file.follow())
            sent = headers(token(tenant="globex", groups=["staff"]))
            assert (await rpc.bench.http.post("/v1/chat/completions", json=CHAT, headers=sent)).status_code == 200
            fewer = {**document(), "jwt": [{**PERSON, "jwks_url": login.url}]}
            fewer["tenants"] = fewer["tenants"][:1]  # type: ignore[index]
            (tmp_path / "tenants.yaml").write_text(yaml.safe_dump(fewer))
            await until(lambda: file.current.tenants == {"acme"}, 20)
            assert (await rpc.bench.http.post("/v1/chat/completions", json=CHAT, headers=sent)).status_code == 401
            # Without issuers a token is a key of another form.
            (tmp_path / "tenants.yaml").write_text(yaml.safe_dump(document()))
            await until(lambda: not file.current.issuers, 20)
            response = await rpc.bench.http.get("/v1/models", headers=headers(token()))
            assert "the API key has another form" in response.text
            assert login.asked == 1
            following.cancel()
            await asyncio.wait({following})


async def test_without_an_issuers_keys_its_tokens_are_503_and_keys_are_served(tmp_path: Path) -> None:
    async with published() as login:
        login.keys = None
        file = await tenants(tmp_path, login.url)
        async with rpc_gateway(tmp_path, respond, tenants=file) as rpc:
            response = await rpc.bench.http.get("/v1/models", headers=headers(token()))
            assert (response.status_code, response.json()["error"]["code"]) == (503, "issuer_unavailable")
            assert response.headers["retry-after"] == "5"
            code, said = await outcome(
                rpc.stub.ModelInfer(
                    service_pb2.ModelInferRequest(model_name="chat"), metadata=tuple(headers(token()).items())
                )
            )
            assert (code, "the keys of login cannot be read" in said) == ("UNAVAILABLE", True)
            shown = await rpc.bench.http.get("/metrics", headers=headers(KEYS["scraper"]))
            assert 'gateway_issuers_outdated{issuer="login"} 1.0' in shown.text.splitlines()
            assert 'gateway_keys_rejected_total{reason="token_unverifiable"} 2.0' in shown.text.splitlines()
