"""Who opens a WebSocket: keys in a header, a subprotocol or the first message; pages of other sites do not."""

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from websockets import InvalidStatus

from switchyard.gateway.websocket.sockets import SocketLimits
from switchyard.http.server.websocket import codes
from tests.switchyard.gateway.conftest import Bench, gateway, until
from tests.switchyard.gateway.tenants.access import KEYS, MALFORMED, document, tenants
from tests.switchyard.gateway.websocket.clients import connect

PAGE = "https://console.example"


def in_subprotocol(key: str) -> str:
    return "switchyard.key." + urlsafe_b64encode(key.encode()).decode().rstrip("=")


@pytest.fixture
async def keyed(tmp_path: Path) -> AsyncIterator[Bench]:
    async with gateway(tmp_path, tenants=await tenants(tmp_path)) as one:
        yield one


async def rejected(bench: Bench, *subprotocols: str, **options: Any) -> tuple[int, str]:
    """The status and the code of the error with which a handshake is rejected."""
    with pytest.raises(InvalidStatus) as raised:
        async with connect(bench, *subprotocols, **options):
            pass
    response = raised.value.response
    assert response.body is not None
    return response.status_code, json.loads(response.body)["error"]["code"]


@pytest.mark.parametrize("name", ["authorization", "x-api-key", "api-key"])
async def test_a_key_in_a_header_opens_and_is_that_of_every_request(keyed: Bench, name: str) -> None:
    value = f"Bearer {KEYS['acme']}" if name == "authorization" else KEYS["acme"]
    async with connect(keyed, additional_headers={name: value}) as socket:
        await socket.chat("a")
        assert (await socket.until_end("a"))[-1]["done"] is True
        await socket.chat("b", model="seer")  # not one of acme's
        assert (await socket.until_end("b"))[-1]["error"]["code"] == "model_not_found"
    assert keyed.model.calls[0].headers[b"x-switchyard-tenant"] == b"acme"
    assert b"authorization" not in keyed.model.calls[0].headers


async def test_a_key_in_a_subprotocol_opens_and_is_not_repeated(keyed: Bench) -> None:
    async with connect(keyed, "switchyard.v1", in_subprotocol(KEYS["acme"])) as socket:
        assert socket.connection.subprotocol == "switchyard.v1"
        await socket.chat("a")
        assert (await socket.until_end("a"))[-1]["done"] is True


async def test_a_socket_gives_a_key_no_role_that_it_has_not(keyed: Bench) -> None:
    async with connect(keyed, additional_headers={"x-api-key": KEYS["scraper"]}) as socket:
        await socket.chat("a")
        assert (await socket.until_end("a"))[-1]["error"]["code"] == "permission_denied"
    assert not keyed.model.calls


async def test_a_key_as_the_first_message_opens(keyed: Bench) -> None:
    async with connect(keyed, "switchyard.v1") as socket:
        await socket.say(key=KEYS["acme"])
        assert await socket.heard() == {"ready": True}
        await socket.chat("a")
        assert (await socket.until_end("a"))[-1]["done"] is True


@pytest.mark.parametrize(
    "key",
    [KEYS["unknown"], KEYS["expired"], KEYS["revoked"], MALFORMED, "sy-x"],
    ids=["unknown", "expired", "revoked", "malformed", "short"],  # each worker makes keys of its own
)
async def test_a_key_that_is_not_valid_is_401_or_closes_with_1008(keyed: Bench, key: str) -> None:
    header = {"authorization": f"Bearer {key}"}
    assert await rejected(keyed, additional_headers=header) == (401, "invalid_api_key")
    assert await rejected(keyed, "switchyard.v1", in_subprotocol(key)) == (401, "invalid_api_key")
    async with connect(keyed) as socket:
        await socket.say(key=key)
        heard = await socket.heard()
        assert (heard["id"], heard["status"], heard["error"]["code"]) == (None, 401, "invalid_api_key")
        assert await socket.closed() == (codes.POLICY_VIOLATION, "invalid_api_key")
    assert not keyed.model.calls


async def test_a_socket_without_a_key_takes_no_request_and_closes_in_time(tmp_path: Path) -> None:
    limits = SocketLimits(key_seconds=1)
    async with (
        gateway(tmp_path, tenants=await tenants(tmp_path), sockets=limits) as keyed,
        connect(keyed) as silent,
        connect(keyed) as early,
    ):
        await early.chat("a")
        assert (await early.heard())["error"]["code"] == "invalid_api_key"
        assert (await early.closed())[0] == codes.POLICY_VIOLATION
        assert await silent.closed() == (codes.POLICY_VIOLATION, "no key came within 1 s")
        assert not keyed.model.calls
        await until(lambda: not keyed.server.in_flight)
        assert await metric_of_scraper(keyed, "gateway_websockets 0.0")
        assert await metric_of_scraper(keyed, 'gateway_websockets_closed_total{code="1008"} 2.0')


async def metric_of_scraper(bench: Bench, line: str) -> bool:
    headers = {"authorization": f"Bearer {KEYS['scraper']}"}
    return line in (await bench.http.get("/metrics", headers=headers)).text.splitlines()


@pytest.mark.parametrize(
    "offered", [("other",), (in_subprotocol(KEYS["acme"]),), ("switchyard.v1", "switchyard.key.~")]
)
async def test_subprotocols_that_are_none_of_ours_are_rejected(keyed: Bench, offered: tuple[str, ...]) -> None:
    assert await rejected(keyed, *offered) == (400, "invalid_value")


async def test_two_keys_are_rejected_as_over_http(keyed: Bench) -> None:
    header = {"authorization": f"Bearer {KEYS['globex']}"}
    offered = ("switchyard.v1", in_subprotocol(KEYS["acme"]))
    assert await rejected(keyed, *offered, additional_headers=header) == (401, "invalid_api_key")


async def test_a_key_that_is_revoked_is_rejected_from_the_next_request_on(tmp_path: Path) -> None:
    file = await tenants(tmp_path)
    async with (
        gateway(tmp_path, tenants=file) as bench,
        connect(bench, additional_headers={"x-api-key": KEYS["acme"]}) as socket,
    ):
        await socket.chat("a")
        assert (await socket.until_end("a"))[-1]["done"] is True
        changed: Any = document()
        changed["tenants"][0]["keys"][0]["revoked"] = True
        (tmp_path / "tenants.yaml").write_text(yaml.safe_dump(changed))
        await file.load()
        await socket.chat("b")
        assert (await socket.until_end("b"))[-1]["status"] == 401


async def test_a_key_without_the_role_opens_and_may_ask_no_model(keyed: Bench) -> None:
    async with connect(keyed, additional_headers={"x-api-key": KEYS["scraper"]}) as socket:
        await socket.chat("a")
        (failed,) = await socket.until_end("a")
        assert (failed["status"], failed["error"]["code"]) == (403, "permission_denied")


async def test_tenants_share_the_sockets_that_there_are(tmp_path: Path) -> None:
    def key(name: str) -> dict[str, Any]:
        return {"additional_headers": {"x-api-key": KEYS[name]}}

    limits = SocketLimits(sockets=3)
    async with (
        gateway(tmp_path, tenants=await tenants(tmp_path), sockets=limits) as bench,
        connect(bench, **key("acme")),
        connect(bench, **key("acme")) as second,
    ):
        assert await rejected(bench, **key("acme")) == (429, "too_many_requests")
        async with connect(bench, **key("globex")):
            assert await rejected(bench, **key("globex")) == (503, "overloaded")
            assert await rejected(bench) == (503, "overloaded")
        async with connect(bench) as late:
            await late.say(key=KEYS["acme"])
            assert (await late.heard())["status"] in (429, 503)
            assert (await late.closed())[0] == codes.TRY_AGAIN_LATER
        await second.connection.close()


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"origin": "https://evil.example"}, 403, "page_not_allowed"),
        ({"origin": "null"}, 403, "page_not_allowed"),
        ({"origin": PAGE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "websocket"}, 403, "page_not_allowed"),
        ({"host": "evil.example", "origin": "http://evil.example"}, 421, "name_not_served"),
    ],
)
async def test_a_page_of_another_site_opens_none(bench: Bench, headers: dict[str, str], status: int, code: str) -> None:
    response = await raw_handshake(bench, headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)


async def test_a_page_that_may_read_responses_opens_one_and_so_does_the_gateways_own(tmp_path: Path) -> None:
    async with gateway(tmp_path, cors_allow_origins=(PAGE,)) as bench:
        for origin in (PAGE, bench.url):
            async with connect(bench, origin=origin) as socket:
                await socket.chat("a")
                assert (await socket.until_end("a"))[-1]["done"] is True


async def raw_handshake(bench: Bench, headers: dict[str, str]) -> httpx.Response:
    opening = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}
    key = {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="}
    return await bench.http.get("/v1/stream", headers={**opening, **key, **headers})


async def test_a_request_that_is_no_handshake_is_told_to_upgrade(bench: Bench) -> None:
    for path in ("/v1/stream", "/openai/v1/stream"):
        response = await bench.http.get(path)
        assert (response.status_code, response.json()["error"]["code"]) == (426, "upgrade_required")
        assert (response.headers["upgrade"], response.headers["sec-websocket-version"]) == ("websocket", "13")
    async with httpx.AsyncClient(base_url=bench.url, http1=False, http2=True) as http2:
        response = await http2.get("/v1/stream")
        assert (response.status_code, response.json()["error"]["code"]) == (426, "upgrade_required")
        assert "upgrade" not in response.headers  # RFC 9113 §8.2.2: it would make the response malformed


async def test_a_handshake_at_any_other_path_is_a_request_like_any_other(bench: Bench) -> None:
    opening = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-version": "13"}
    response = await bench.http.get("/v1/models", headers={**opening, "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ=="})
    assert response.status_code == 200


async def test_what_is_offered_is_not_more_than_is_there(bench: Bench) -> None:
    async with connect(bench) as socket:  # websockets offers permessage-deflate
        assert socket.connection.protocol.extensions == []
    async with connect(bench, path="/openai/v1/stream") as socket:
        await socket.chat("a")
        assert (await socket.until_end("a"))[-1]["done"] is True
