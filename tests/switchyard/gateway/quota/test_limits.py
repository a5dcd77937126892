"""Calls that exceed a limit, in every protocol; and what calls cost, however they end."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import openai
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]
from tritonclient.grpc import service_pb2

from switchyard.gateway.quota import reservations
from tests.switchyard.gateway.conftest import Bench, Call, completion, gateway, until
from tests.switchyard.gateway.quota.limited import HEADERS, METADATA, Away, counting, ledger, limited, metric, tenants
from tests.switchyard.gateway.tenants.access import KEYS
from tests.switchyard.gateway.test_v2 import infer, rpc_gateway

CHAT = {"model": "chat", "messages": [{"role": "user", "content": "x"}], "max_tokens": 1}
INFER = {"inputs": [{"name": "in", "datatype": "INT32", "shape": [1], "data": [1]}]}
ONE_A_DAY = {"limit": "requests", "most": 1, "per": "day"}
TWO = {"limit": "requests", "most": 2, "per": "minute"}


async def respond(call: Call) -> None:
    await (completion if call.scope["path"].startswith("/openai") else infer)(call)


REQUESTS: dict[str, tuple[str, Any]] = {
    "openai": ("/v1/chat/completions", CHAT),
    "a stream": ("/v1/chat/completions", {**CHAT, "stream": True}),
    "anthropic": ("/v1/messages", CHAT),
    "v2": ("/v2/models/ocr/infer", INFER),
    "v1": ("/v1/models/ocr:predict", {"instances": [{}]}),
    "a short form": ("/v1/llm/chat", {"model": "chat", "prompt": "hi"}),
}


def error_of(response: httpx.Response) -> tuple[str, str]:
    body = response.json()
    if isinstance(body["error"], str):
        return body["code"], body["error"]
    error = body["error"]
    return error.get("code") or error["details"]["error_code"], error["message"]


@pytest.mark.parametrize("protocol", REQUESTS)
async def test_a_call_too_many_is_a_429_that_names_the_limit_in_the_callers_protocol(
    tmp_path: Path, url: str, protocol: str
) -> None:
    path, body = REQUESTS[protocol]
    async with limited(tmp_path, url, TWO, script=respond) as bench:
        for _ in range(2):
            assert (await bench.http.post(path, json=body)).status_code == 200
        response = await bench.http.post(path, json=body)

        code, message = error_of(response)
        assert (response.status_code, code) == (429, "rate_limit_exceeded")
        assert message.startswith(
            "tenant acme may have 2 requests per minute, and 2 are taken and this request takes 1"
        )
        assert 1 <= int(response.headers["retry-after"]) <= 60
        assert len(bench.model.calls) == 2
        assert await metric(bench, 'gateway_limit_denials_total{limit="requests",mode="enforced",per="minute"} 1.0')


async def test_in_grpc_it_is_resource_exhausted_with_the_time_to_retry(tmp_path: Path, url: str) -> None:
    async with (
        ledger(url) as opened,
        rpc_gateway(tmp_path, tenants=await tenants(tmp_path, TWO), ledger=opened) as rpc,
    ):
        request = service_pb2.ModelInferRequest(model_name="ocr")
        for left in ("1", "0"):
            call = rpc.stub.ModelInfer(request, timeout=5, metadata=METADATA)
            await call
            told: dict[str, Any] = dict(await call.initial_metadata())
            assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("2", left)
            assert {"x-ratelimit-reset-requests", "x-request-id"} <= set(told)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc.stub.ModelInfer(request, timeout=5, metadata=METADATA)

        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "2 requests per minute" in str(caught.value.details())
        details, retry = status_pb2.Status(), error_details_pb2.RetryInfo()
        metadata: dict[str, Any] = dict(caught.value.trailing_metadata())
        assert (metadata["x-ratelimit-remaining-requests"], "x-request-id" in metadata) == ("0", True)
        details.ParseFromString(metadata["grpc-status-details-bin"])
        assert details.details[0].Unpack(retry)
        assert 1 <= retry.retry_delay.seconds <= 60


async def test_a_budget_that_is_used_up_says_when_the_next_day_begins(tmp_path: Path, url: str) -> None:
    async with limited(tmp_path, url, ONE_A_DAY) as bench:
        await bench.chat()
        response = await bench.chat()
        error = response.json()["error"]
        assert (response.status_code, error["type"], error["code"]) == (429, "insufficient_quota", "insufficient_quota")
        assert "the next day begins at 2" in error["message"]
        assert "(Europe/Berlin)" in error["message"]
        assert 1 <= int(response.headers["retry-after"]) <= 25 * 3600


async def test_openais_client_sees_a_rate_limit_error_and_the_headers_that_it_knows(tmp_path: Path, url: str) -> None:
    tokens = {"limit": "tokens", "most": 100_000, "per": "minute"}
    async with (
        limited(tmp_path, url, {**TWO, "most": 1}, tokens) as bench,
        openai.AsyncOpenAI(base_url=f"{bench.url}/v1", api_key=KEYS["acme"], max_retries=0) as client,
    ):
        raw = await client.chat.completions.with_raw_response.create(model="chat", messages=[], max_tokens=5)
        assert raw.headers["x-ratelimit-limit-requests"] == "1"
        assert raw.headers["x-ratelimit-remaining-requests"] == "0"
        assert raw.headers["x-ratelimit-reset-requests"] == "1m0s"
        assert raw.headers["x-ratelimit-limit-tokens"] == "100000"
        assert 99_000 < int(raw.headers["x-ratelimit-remaining-tokens"]) < 100_000
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="chat", messages=[])
        assert caught.value.code == "rate_limit_exceeded"
        assert int(caught.value.response.headers["retry-after"]) >= 1
        assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"


async def test_anthropics_headers_are_on_messages(tmp_path: Path, url: str) -> None:
    of_input = {"limit": "input_tokens", "most": 1000, "per": "minute"}
    async with limited(tmp_path, url, TWO, of_input) as bench:
        headers = (await bench.http.post("/v1/messages", json=CHAT)).headers
        assert headers["anthropic-ratelimit-requests-limit"] == "2"
        assert headers["anthropic-ratelimit-requests-remaining"] == "1"
        assert headers["anthropic-ratelimit-requests-reset"].endswith("Z")
        assert headers["anthropic-ratelimit-input-tokens-limit"] == "1000"


async def test_a_web_page_may_read_what_is_left_of_every_limit(tmp_path: Path, url: str) -> None:
    limits = [{"limit": unit, "most": 9999, "per": "minute"} for unit in ("requests", "tokens", "input_tokens")]
    file = await tenants(tmp_path, *limits, {"limit": "output_tokens", "most": 9999, "per": "minute"})
    async with (
        ledger(url) as opened,
        gateway(tmp_path, cors_allow_origins=("*",), tenants=file, ledger=opened) as bench,
    ):
        for path, count in ("/v1/chat/completions", 6), ("/v1/messages", 12):
            headers = {**HEADERS, "origin": "https://page.example"}
            response = await bench.http.post(path, json=CHAT, headers=headers)
            exposed = response.headers["access-control-expose-headers"].split(", ")
            sent = [name for name in response.headers if "ratelimit" in name]
            assert len(sent) == count
            assert set(sent) <= set(exposed)
            assert {"retry-after", "x-request-id"} <= set(exposed)


async def test_a_key_has_limits_of_its_own_and_tenants_without_limits_have_none(tmp_path: Path, url: str) -> None:
    of_key = {"limits": [{**TWO, "most": 1, "models": ["cha?"]}]}
    async with limited(tmp_path, url, of_key=of_key) as bench:
        assert (await bench.chat()).status_code == 200
        response = await bench.chat()
        assert response.status_code == 429
        assert "key acme-key may have 1 requests per minute of cha?" in response.json()["error"]["message"]
        assert (await bench.http.post("/v1/embeddings", json={"model": "embed", "input": "x"})).status_code == 200
        globex = {"authorization": f"Bearer {KEYS['globex']}"}
        for _ in range(3):
            response = await bench.http.post("/v1/chat/completions", json=CHAT, headers=globex)
            assert response.status_code == 200
            assert not [name for name in response.headers if "ratelimit" in name]


async def test_what_asks_about_models_is_no_request_of_a_limit(tmp_path: Path, url: str) -> None:
    async with limited(tmp_path, url, {**TWO, "most": 1}, script=respond) as bench:
        for _ in range(3):
            assert (await bench.http.get("/v1/models")).status_code == 200
            assert (await bench.http.get("/v2/models/ocr")).status_code == 200
        assert (await bench.chat()).status_code == 200


async def test_requests_in_flight_are_held_also_while_a_model_wakes_and_given_back(tmp_path: Path, url: str) -> None:
    go_on = asyncio.Event()

    async def wait(call: Call) -> None:
        await go_on.wait()
        await completion(call)

    async with limited(tmp_path, url, {"limit": "in_flight", "most": 1}, script=wait) as bench:
        first = asyncio.create_task(bench.chat("sleepy", stream=True))
        await until(lambda: len(bench.model.calls) == 1)
        response = await bench.chat()
        assert (response.status_code, response.headers["retry-after"]) == (429, "1")
        assert "1 requests in flight" in response.json()["error"]["message"]
        go_on.set()
        assert (await first).status_code == 200
        assert (await bench.chat()).status_code == 200


async def test_a_shadow_denies_nothing_and_says_what_it_would(
    tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with limited(tmp_path, url, {**TWO, "shadow": True}) as bench:
        for _ in range(5):
            response = await bench.chat()
            assert response.status_code == 200
            assert "x-ratelimit-limit-requests" not in response.headers
        assert await metric(bench, 'gateway_limit_denials_total{limit="requests",mode="shadow",per="minute"} 3.0')
    assert len([record for record in caplog.records if record.message == "a shadow limit would deny calls"]) == 1


TOKENS = (
    {"limit": "tokens", "most": 10_000, "per": "day"},
    {"limit": "output_tokens", "most": 10_000, "per": "day"},
    TWO,
)


async def settled(tmp_path: Path, away: Away, script: Any, **fields: Any) -> dict[str, int]:
    """What one chat cost."""
    async with gateway(tmp_path, script, tenants=await tenants(tmp_path, *TOKENS), ledger=away) as bench:
        bench.http.headers.update(HEADERS)
        await bench.chat(**fields)
        ((_, amounts),) = away.settled
        return amounts


async def fail(call: Call) -> None:
    await call.answer({"error": {"message": "no more memory", "type": "server_error", "code": 500}}, 500)


async def break_off(call: Call) -> None:
    await call.start()
    await call.chunk(b'{"half":')
    raise ConnectionError


async def test_a_complete_call_costs_what_the_engine_counted(tmp_path: Path, away: Away) -> None:
    cost = await settled(tmp_path, away, counting(321, 45), max_tokens=1000)
    assert cost == {"tokens": 366, "output_tokens": 45, "requests": 1}


@pytest.mark.parametrize("script", [fail, break_off])
async def test_a_failed_call_costs_one_request(tmp_path: Path, away: Away, script: Any) -> None:
    async with gateway(tmp_path, script, tenants=await tenants(tmp_path, *TOKENS), ledger=away) as bench:
        bench.http.headers.update(HEADERS)
        with suppress(httpx.RemoteProtocolError):  # it broke off after its headers
            await bench.chat()
        await until(lambda: bool(away.settled))
        assert [amounts for _, amounts in away.settled] == [{"tokens": 0, "output_tokens": 0, "requests": 1}]


async def test_a_call_whose_client_disconnects_costs_its_input_and_what_it_was_sent_or_the_guess(
    tmp_path: Path, away: Away
) -> None:
    async def endless(call: Call) -> None:
        if call.scope["path"].endswith("chat/completions"):
            await call.start(content_type=b"text/event-stream")
            await call.chunk(b"data: {}\n\n")
        await call.disconnected()

    async with gateway(tmp_path, endless, tenants=await tenants(tmp_path, *TOKENS), ledger=away) as bench:
        bench.http.headers.update(HEADERS)
        async with bench.http.stream(
            "POST", "/v1/chat/completions", json={**CHAT, "max_tokens": 50, "stream": True}
        ) as it:
            await anext(it.aiter_raw())
        await until(lambda: len(away.settled) == 1)
        waiting = asyncio.create_task(bench.http.post("/v1/completions", json={"model": "chat", "prompt": "x"}))
        await until(lambda: len(bench.model.calls) == 2)
        waiting.cancel()
        await until(lambda: len(away.settled) == 2)
        (_, streamed), (_, silent) = away.settled
        assert (streamed["output_tokens"], silent["output_tokens"]) == (1, 512)  # one event, and what is guessed
        assert 0 < streamed["tokens"] - 1 < 100
        assert 0 < silent["tokens"] - 512 < 100


async def test_a_running_stream_is_not_cut_and_counts_against_the_calls_after_it(tmp_path: Path, url: str) -> None:
    most = {"limit": "output_tokens", "most": 100, "per": "minute"}
    async with limited(tmp_path, url, most, script=counting(5, 5000)) as bench:
        assert (await bench.chat(max_tokens=10_000)).status_code == 200
        response = await bench.chat(max_tokens=1)
        assert response.status_code == 429
        assert "5000 are taken" in response.json()["error"]["message"]


async def test_dollars_are_what_the_engine_counted_by_the_price_list(tmp_path: Path, url: str) -> None:
    most = {"limit": "dollars", "most": 2, "per": "month"}
    async with limited(tmp_path, url, most, script=counting(1000, 300)) as bench:
        assert (await bench.chat(max_tokens=1)).status_code == 200  # it costs 2.50
        response = await bench.chat(max_tokens=1)
        error = response.json()["error"]
        assert (response.status_code, error["code"]) == (429, "insufficient_quota")
        assert "tenant acme may have 2 US dollars per month, and 2.50 are taken" in error["message"]


async def test_long_calls_at_once_after_short_ones_pass_no_budget(tmp_path: Path, url: str) -> None:
    generated = [1]

    async def script(call: Call) -> None:
        await counting(1, generated[0])(call)

    budget = {"limit": "output_tokens", "most": 4000, "per": "day"}
    async with limited(tmp_path, url, budget, script=script) as bench:
        for _ in range(20):
            assert (await bench.chat(max_tokens=1)).status_code == 200
        generated[0] = 1500
        responses = await asyncio.gather(*(bench.chat(max_tokens=1500) for _ in range(10)))
        assert [response.status_code for response in responses].count(200) == 2


async def test_a_limit_smaller_than_any_estimate_lets_one_call_through(tmp_path: Path, url: str) -> None:
    async with limited(tmp_path, url, {"limit": "tokens", "most": 2, "per": "minute"}, script=counting(1, 1)) as bench:
        assert (await bench.chat(max_tokens=4096)).status_code == 200
        assert (await bench.chat(max_tokens=4096)).status_code == 429


async def test_a_call_that_outlives_its_lease_is_renewed(
    tmp_path: Path, away: Away, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reservations, "_RENEW_SECONDS", 0.01)
    go_on = asyncio.Event()

    async def wait(call: Call) -> None:
        await go_on.wait()
        await completion(call)

    async with gateway(tmp_path, wait, tenants=await tenants(tmp_path, TWO), ledger=away) as bench:
        bench.http.headers.update(HEADERS)
        call = asyncio.create_task(bench.chat())
        await until(lambda: len(away.renewed) >= 3)
        go_on.set()
        await call
        ((call_id, _),) = away.settled
        assert away.renewed[0] == [call_id]


async def test_gateways_on_one_store_let_no_request_too_many_through(tmp_path: Path, url: str) -> None:
    async def slow(call: Call) -> None:
        await asyncio.sleep(0.01)
        await completion(call)

    at_once, most = 0, 0

    async def counted(call: Call) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await slow(call)
        at_once -= 1

    limits = ({"limit": "requests", "most": 40, "per": "day"}, {"limit": "in_flight", "most": 3})
    file = await tenants(tmp_path, *limits)
    gateways: list[Bench] = []

    async def client(bench: Bench, statuses: list[int]) -> None:
        while statuses.count(200) < 40:
            response = await bench.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS)
            statuses.append(response.status_code)
            if response.status_code != 200 and response.json()["error"]["code"] != "rate_limit_exceeded":
                break

    statuses: list[int] = []
    folders = [tmp_path / str(number) for number in range(3)]
    for folder in folders:
        folder.mkdir()
    async with (
        ledger(url) as one,
        ledger(url) as two,
        ledger(url) as three,
        gateway(folders[0], counted, tenants=file, ledger=one) as first,
        gateway(folders[1], counted, tenants=file, ledger=two) as second,
        gateway(folders[2], counted, tenants=file, ledger=three) as third,
    ):
        gateways = [first, second, third]
        async with asyncio.timeout(30):
            await asyncio.gather(*(client(bench, statuses) for bench in gateways for _ in range(4)))
        assert (await first.http.post("/v1/chat/completions", json=CHAT, headers=HEADERS)).status_code == 429
    assert statuses.count(200) == 40
    assert set(statuses) == {200, 429}
    assert most <= 3
