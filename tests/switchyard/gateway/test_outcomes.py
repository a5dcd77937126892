"""What became of a call, in every protocol: what availability is computed from, by model and by tenant."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.samples import Sample

from switchyard.gateway.stages.observe import outcome_of
from switchyard.rpc.status import RpcStatus
from tests.exposition import samples
from tests.switchyard.gateway.conftest import Bench, Call, Script, gateway
from tests.switchyard.gateway.quota.limited import HEADERS, counting, ledger, limited, tenants
from tests.switchyard.gateway.tenants.access import KEYS
from tests.switchyard.store.conftest import sqlite_url

__all__ = ["sqlite_url"]

SCRAPER = {"authorization": f"Bearer {KEYS['scraper']}"}
CHAT = ("/v1/chat/completions", {"model": "chat", "messages": []})
MESSAGES = ("/v1/messages", {"model": "chat", "messages": [], "max_tokens": 5})
INFER: tuple[str, dict[str, Any]] = ("/v2/models/ocr/infer", {"inputs": []})
SHORT = ("/v1/llm/chat", {"model": "chat", "prompt": "hello"})
TOKEN = b'data: {"choices": [{"index": 0, "delta": {"content": "a"}}]}\n\n'


@pytest.mark.parametrize(
    ("outcome", "codes"),
    [
        ("ok", [200, 204, 304, "OK"]),
        ("rejected", [400, 401, 403, 404, 413, 422, 429, 501, "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"]),
        ("rejected", ["UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "UNIMPLEMENTED", "ABORTED"]),
        ("failed", [0, 500, 502, 503, 504, "UNAVAILABLE", "INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "DATA_LOSS"]),
        ("cancelled", [499, "CANCELLED"]),
    ],
)
def test_every_code_has_one_outcome(outcome: str, codes: list[int | str]) -> None:
    assert {code: outcome_of(code) for code in codes} == dict.fromkeys(codes, outcome)


def test_every_status_of_grpc_has_an_outcome() -> None:
    assert {outcome_of(status.name) for status in RpcStatus} == {"ok", "rejected", "failed", "cancelled"}


def test_a_stream_of_a_model_that_failed_is_a_failure_whatever_its_client_got_first() -> None:
    assert outcome_of(200, 503) == "failed"
    assert outcome_of(200, 422) == "rejected"
    assert outcome_of(200, 200, broken=True) == "failed"


def stream(*chunks: bytes, ends: bool = True) -> Script:
    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        for chunk in chunks:
            await call.chunk(chunk)
        if ends:
            await call.end(b"data: [DONE]\n\n")
        else:
            raise ConnectionResetError

    return script


def error(status: int) -> Script:
    async def script(call: Call) -> None:
        await call.answer({"error": {"message": "no", "type": "error", "code": status}}, status)

    return script


async def whole(call: Call) -> None:
    await counting(3, 5)(call)


FAILED_IN_STREAM = b'data: {"error": {"message": "the engine is dead", "code": 500}}\n\n'
FAILED_EVENT = b'event: error\ndata: {"type": "error", "error": {"type": "api_error", "message": "dead"}}\n\n'

CASES: dict[str, tuple[Any, bool, Script, str]] = {
    "a chat": (CHAT, False, whole, "ok"),
    "a message": (MESSAGES, False, whole, "ok"),
    "an inference": (INFER, False, whole, "ok"),
    "a short form": (SHORT, False, whole, "ok"),
    "a streamed chat": (CHAT, True, stream(TOKEN, TOKEN), "ok"),
    "a chat that its model rejects": (CHAT, False, error(400), "rejected"),
    "a message that its model rejects": (MESSAGES, False, error(422), "rejected"),
    "an inference that its model rejects": (INFER, False, error(400), "rejected"),
    "a chat of a full model": (CHAT, False, error(429), "rejected"),
    "a chat that its model fails": (CHAT, False, error(500), "failed"),
    "a message that its model fails": (MESSAGES, False, error(503), "failed"),
    "an inference that its model fails": (INFER, False, error(500), "failed"),
    "a short form that its model fails": (SHORT, False, error(500), "failed"),
    "a stream whose connection breaks": (CHAT, True, stream(TOKEN, ends=False), "failed"),
    "a stream that ends with an error": (CHAT, True, stream(TOKEN, TOKEN, FAILED_IN_STREAM), "failed"),
    "a stream of messages that ends with an error": (MESSAGES, True, stream(TOKEN, FAILED_EVENT), "failed"),
}


@pytest.mark.parametrize("metered", [False, True], ids=["open", "metered"])
@pytest.mark.parametrize("case", CASES)
async def test_calls_are_counted_by_what_became_of_them(
    tmp_path: Path, sqlite_url: str, case: str, metered: bool
) -> None:
    (path, body), streamed, script, outcome = CASES[case]
    async with (
        ledger(sqlite_url) as opened,
        gateway(
            tmp_path,
            script,
            tenants=await tenants(tmp_path) if metered else None,
            ledger=opened if metered else None,
            retry_attempts=1,
        ) as bench,
    ):
        try:
            await bench.http.post(path, json=body | ({"stream": True} if streamed else {}), headers=HEADERS)
        except httpx.RemoteProtocolError:
            assert outcome == "failed"
        found = await scraped(bench)
        assert outcomes(found, "gateway_requests_total") == {outcome: 1.0}
        assert outcomes(found, "gateway_tenant_requests_total") == ({outcome: 1.0} if metered else {})


async def test_calls_that_a_limit_denies_and_clients_that_leave_are_no_failures(
    tmp_path: Path, sqlite_url: str
) -> None:
    arrived = asyncio.Event()

    async def hold(call: Call) -> None:
        arrived.set()
        await call.disconnected()

    async with limited(tmp_path, sqlite_url, {"limit": "requests", "per": "minute", "most": 1}, script=hold) as bench:
        held = asyncio.ensure_future(bench.chat())
        await asyncio.wait_for(arrived.wait(), 5)
        assert (await bench.chat()).status_code == 429
        held.cancel()
        async with asyncio.timeout(5):
            while outcomes(await scraped(bench), "gateway_tenant_requests_total").get("cancelled") != 1:
                await asyncio.sleep(0.001)
        found = await scraped(bench)
        assert outcomes(found, "gateway_requests_total") == {"cancelled": 1.0, "rejected": 1.0}


async def test_what_asks_no_model_is_no_tenants_request(tmp_path: Path, sqlite_url: str) -> None:
    async with limited(tmp_path, sqlite_url) as bench:
        assert (await bench.http.get("/v1/models")).status_code == 200
        assert not outcomes(await scraped(bench), "gateway_tenant_requests_total")


async def test_a_stream_is_timed_from_its_first_byte_and_not_from_its_headers(tmp_path: Path) -> None:
    begin, began = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        began.set()
        await begin.wait()
        await stream(TOKEN, TOKEN, TOKEN)(_Started(call))

    async with gateway(tmp_path, slow) as bench:
        asked = asyncio.ensure_future(bench.chat(stream=True))
        await asyncio.wait_for(began.wait(), 5)
        await bench.chat("no-such-name")  # by then the gateway has the headers: it has responded to another
        assert not of(await scraped(bench), "gateway_first_byte_seconds_count")
        begin.set()
        await asked
        found = await scraped(bench)
        (first,) = of(found, "gateway_first_byte_seconds_count")
        assert first.value == 1
        for name in ("gateway_first_token_seconds_count", "gateway_time_per_output_token_seconds_count"):
            (one,) = of(found, name)
            assert (one.labels, one.value) == ({"model": "chat"}, 1)


async def test_a_response_that_is_no_stream_has_no_first_token(tmp_path: Path) -> None:
    # Its first byte comes when all of it is generated: long answers would be late ones.
    async with gateway(tmp_path, counting(1, 1)) as bench:
        await bench.chat()
        found = await scraped(bench)
        assert of(found, "gateway_first_byte_seconds_count")
        assert not of(found, "gateway_first_token_seconds_count")


class _Started(Call):
    def __init__(self, call: Call) -> None:
        super().__init__(call.scope, call.body, call.receive, call.send)

    async def start(self, *_: Any, **__: Any) -> None:
        """Its headers are sent."""


async def test_errors_are_no_first_bytes(tmp_path: Path) -> None:
    async with gateway(tmp_path, error(500)) as bench:
        await bench.chat()
        assert not of(await scraped(bench), "gateway_first_byte_seconds_count")


async def scraped(bench: Bench) -> list[Sample]:
    return samples((await bench.http.get("/metrics", headers=SCRAPER)).text)


def of(found: list[Sample], name: str) -> list[Sample]:
    return [one for one in found if one.name == name and one.value]


def outcomes(found: list[Sample], name: str) -> dict[str, float]:
    counted: dict[str, float] = {}
    for one in of(found, name):
        if not re.fullmatch("/v1/models|/metrics", one.labels.get("route", "")):
            counted[one.labels["outcome"]] = counted.get(one.labels["outcome"], 0) + one.value
    return counted
