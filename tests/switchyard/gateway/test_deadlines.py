"""The time that a client gives its request: what has not ended by then is an error in the client's protocol."""

import asyncio
import json
from pathlib import Path

import pytest

from tests.switchyard.gateway.conftest import Bench, Call, gateway, until

CHAT = "/v1/chat/completions"
BODY = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}


async def _never(call: Call) -> None:
    await call.disconnected()


async def _begins_a_stream(call: Call) -> None:
    await call.start(content_type=b"text/event-stream")
    await call.chunk(b'data: {"choices":[]}\n\n')
    await call.disconnected()


@pytest.mark.parametrize(
    ("path", "body", "kind"),
    [
        (CHAT, BODY, "server_error"),
        ("/v1/messages", {**BODY, "max_tokens": 1}, "timeout_error"),
        ("/v2/models/ocr/infer", {"inputs": []}, None),
    ],
)
async def test_a_response_that_has_not_begun_is_504_and_the_model_is_left(
    tmp_path: Path, path: str, body: object, kind: str | None
) -> None:
    async with gateway(tmp_path, _never) as bench:
        response = await bench.http.post(path, json=body, headers={"x-switchyard-deadline": "0.2"})
        assert response.status_code == 504
        assert "not complete within 0.2 s" in response.text
        assert kind is None or response.json()["error"]["type"] == kind
        assert await bench.metric("gateway_requests_in_flight 0.0")


async def test_a_stream_that_has_begun_ends_with_an_error(tmp_path: Path) -> None:
    async with gateway(tmp_path, _begins_a_stream) as bench:
        response = await bench.http.post(CHAT, json={**BODY, "stream": True}, headers={"x-switchyard-deadline": "0.3"})
        events = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
        assert (response.status_code, json.loads(events[0])) == (200, {"choices": []})
        assert json.loads(events[-1])["error"]["code"] == "deadline_exceeded"


async def test_who_is_in_time_notices_nothing(bench: Bench) -> None:
    response = await bench.http.post(CHAT, json=BODY, headers={"x-switchyard-deadline": "30"})
    assert response.status_code == 200
    assert b"x-switchyard-deadline" not in bench.model.calls[-1].headers


@pytest.mark.parametrize("given", ["", "0", "-1", "1e3", "nan", "inf", "0.0001", "86400.001", "999999", "1,2", "soon"])
async def test_what_is_no_time_is_an_error_of_the_client(bench: Bench, given: str) -> None:
    response = await bench.http.post(CHAT, json=BODY, headers={"x-switchyard-deadline": given})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_value")
    assert "x-switchyard-deadline is no time; send seconds" in response.text
    assert bench.model.calls == []


async def test_a_timeout_of_the_model_stays_one(tmp_path: Path) -> None:
    async with gateway(tmp_path, _never, first_byte_seconds=0.1) as bench:
        response = await bench.http.post(CHAT, json=BODY, headers={"x-switchyard-deadline": "30"})
        assert (response.status_code, response.json()["error"]["code"]) == (504, "upstream_timeout")


async def test_a_client_that_disconnects_before_is_no_deadline(tmp_path: Path) -> None:
    async with gateway(tmp_path, _never) as bench:
        asked = asyncio.ensure_future(bench.http.post(CHAT, json=BODY, headers={"x-switchyard-deadline": "30"}))
        await until(lambda: len(bench.model.calls) == 1)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        async with asyncio.timeout(10):
            while not await bench.metric("gateway_requests_in_flight 0.0"):
                await asyncio.sleep(0.01)
