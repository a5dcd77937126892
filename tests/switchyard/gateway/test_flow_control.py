"""Clients of HTTP/2 that take a response slowly, or not at all."""

import asyncio
import json
from pathlib import Path

import pytest

from switchyard.http.h2 import frames
from tests.switchyard.gateway.conftest import Bench, Call, gateway, until
from tests.switchyard.http.h2.raw import Talk

LARGE = 300_000  # bytes; a client's windows are 65,535 until it widens them
CHAT = json.dumps({"model": "chat", "messages": []}).encode()
STREAM = json.dumps({"model": "chat", "messages": [], "stream": True}).encode()
FIELDS = [
    *((b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"localhost")),
    *((b":path", b"/v1/chat/completions"), (b"content-type", b"application/json")),
]
COUNTED = 'gateway_requests_total{code="200",model="chat",outcome="ok",route="/v1/chat/completions"} 1.0'


def port_of(bench: Bench) -> int:
    return int(bench.url.rpartition(":")[2])


async def test_a_whole_response_beyond_the_clients_windows_is_a_success_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def large(call: Call) -> None:
        await call.answer({"text": "x" * LARGE})

    async with gateway(tmp_path, large) as bench:
        talk = await Talk.to(port_of(bench), FIELDS, ends=False)
        talk.sends(1, CHAT)
        received = 0
        while received < LARGE:
            received += (size := len(await talk.hears(frames.DATA)))
            talk.widens(size)
            talk.widens_stream(1, size)
        async with asyncio.timeout(10):
            while not await bench.metric(COUNTED):
                await asyncio.sleep(0.01)
        await talk.disconnects()
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


async def test_streams_whose_windows_stay_shut_give_their_places_back_after_the_stall(tmp_path: Path) -> None:
    async def long(call: Call) -> None:
        if not json.loads(call.body).get("stream"):
            await call.answer({})
            return
        await call.start(content_type=b"text/event-stream")
        for _ in range(LARGE // 1000):
            await call.chunk(b"data: " + b"x" * 1000 + b"\n\n")
        await call.disconnected()

    async with gateway(tmp_path, long, max_in_flight=2, stall_seconds=1.0) as bench:
        talk = await Talk.to(port_of(bench), FIELDS, ends=False)
        talk.sends(1, STREAM)
        talk.asks(3, FIELDS, STREAM)
        await until(lambda: len(bench.model.calls) == 2)
        assert (await bench.chat()).json()["error"]["code"] == "overloaded"
        for stream in (1, 3):
            assert await talk.hears(frames.RST_STREAM, stream) == frames.uint32(frames.CANCEL)
        async with asyncio.timeout(5):
            while (await bench.chat()).status_code != 200:
                await asyncio.sleep(0.01)
        await talk.disconnects()
