"""How WebSockets end at the gateway, with which close codes, and what a slow client costs."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from switchyard.gateway.websocket.sockets import SocketLimits
from switchyard.http.server.websocket import codes
from tests.switchyard.gateway.conftest import Call, completion, gateway, until
from tests.switchyard.gateway.websocket.clients import Socket, connect, endless
from tests.switchyard.http.server.websocket.sockets import handshake

MIB = 1024 * 1024


async def too_big(socket: Socket) -> None:
    await socket.connection.send("a" * (MIB + 1))


async def bytes_in_place_of_text(socket: Socket) -> None:
    await socket.connection.send(b"{}")


async def broken_utf8(socket: Socket) -> None:
    await socket.connection.send(b"\xff", text=True)


async def flood_of_pings(socket: Socket) -> None:
    for number in range(200):
        await socket.connection.ping(b"%d" % number)


async def nothing(socket: Socket) -> None:
    """Leave the socket as it is."""


async def own_close(socket: Socket) -> None:
    await socket.connection.close(4321)


CODES = [
    (too_big, codes.MESSAGE_TOO_BIG, "1009"),
    (bytes_in_place_of_text, codes.UNSUPPORTED_DATA, "1003"),
    (broken_utf8, codes.INVALID_TEXT, "1007"),
    (flood_of_pings, codes.POLICY_VIOLATION, "1008"),
    (nothing, codes.IDLE, "4000"),
    (own_close, 4321, "other"),
]


@pytest.mark.parametrize(("act", "code", "counted"), CODES, ids=[str(code) for _, code, _ in CODES])
async def test_what_closes_a_socket_with_which_code(tmp_path: Path, act: Any, code: int, counted: str) -> None:
    limits = {"control_frames": 100, "control_frames_per_second": 1, "quiet_seconds": 0.2 if act is nothing else 300}
    async with gateway(tmp_path, limits=limits) as bench, connect(bench, max_size=None) as socket:
        await act(socket)
        assert (await socket.closed())[0] == code
        await until(lambda: not bench.server.in_flight)
        assert await bench.metric(f'gateway_websockets_closed_total{{code="{counted}"}} 1.0')


async def test_a_message_may_have_as_many_bytes_as_the_setting_says(tmp_path: Path) -> None:
    async with gateway(tmp_path, max_message_bytes=3 * MIB) as bench, connect(bench) as socket:
        await socket.chat("a", user="x" * 2 * MIB)
        assert (await socket.until_end("a"))[-1]["done"] is True
        assert bench.model.bodies[0]["user"] == "x" * 2 * MIB
        await until(lambda: not bench.server.memory.used)


async def test_a_socket_with_a_request_in_progress_is_not_idle(tmp_path: Path) -> None:
    async def slow(call: Call) -> None:
        await asyncio.sleep(0.4)
        await completion(call)

    limits = {"quiet_seconds": 0.1}
    async with gateway(tmp_path, slow, limits=limits) as bench, connect(bench) as socket:
        await socket.chat("a")
        assert (await socket.until_end("a"))[-1]["done"] is True
        assert (await socket.closed())[0] == codes.IDLE


async def test_a_drain_lets_requests_end_takes_no_new_ones_and_closes_with_1001(tmp_path: Path) -> None:
    finish = asyncio.Event()

    async def waits(call: Call) -> None:
        await finish.wait()
        await completion(call)

    async with gateway(tmp_path, waits) as bench, connect(bench) as idle, connect(bench) as busy:
        await busy.chat("a")
        await until(lambda: bool(bench.model.calls))
        draining = asyncio.create_task(bench.server.drain())
        assert (await idle.closed())[0] == codes.GOING_AWAY
        await busy.chat("b")
        (failed,) = await busy.until_end("b")
        assert (failed["status"], failed["error"]["code"]) == (503, "shutting_down")
        finish.set()
        assert (await busy.until_end("a"))[-1]["done"] is True
        assert (await busy.closed())[0] == codes.GOING_AWAY
        await asyncio.wait_for(draining, 5)


async def test_a_client_that_does_not_read_stops_the_model_and_costs_bounded_memory(tmp_path: Path) -> None:
    written = 0

    async def floods(call: Call) -> None:
        nonlocal written
        gone = asyncio.ensure_future(call.disconnected())
        await call.start(content_type=b"text/event-stream")
        while not gone.done():
            await call.chunk(b'data: {"text": "' + b"a" * 10_000 + b'"}\n\n')
            written += 10_000
            await asyncio.sleep(0)

    async with gateway(tmp_path, floods, stall_seconds=1.0) as bench, slow_socket(bench.url) as writer:
        tracemalloc.start()
        for number in range(16):
            writer.write(frame(f'{{"id":"{number}","type":"chat","body":{{"model":"chat","stream":true}}}}'))
        await until(lambda: len(bench.model.calls) == 16)
        before = -1
        while written != before:  # until the buffers on the way are full
            before = written
            await asyncio.sleep(0.1)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert held < 24 * MIB  # 16 chunks that wait, of up to 512 KiB, and what uvicorn holds of as many
        await until(lambda: not bench.server.in_flight)  # it takes nothing, so it is cut


def frame(text: str) -> bytes:
    """A masked frame of text; of zeros, a mask leaves it as it is."""
    data = text.encode()
    assert len(data) < 126
    return bytes([0x81, 0x80 | len(data)]) + bytes(4) + data


@asynccontextmanager
async def slow_socket(url: str) -> AsyncIterator[asyncio.StreamWriter]:
    """A socket of which nothing is read after the handshake."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), limit=1024)
    writer.write(handshake(host=b"localhost").replace(b"/socket", b"/v1/stream"))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    yield writer
    writer.close()


async def test_messages_of_a_client_that_does_not_read_are_not_read_either(tmp_path: Path) -> None:
    async with gateway(tmp_path, endless, sockets=SocketLimits(requests=2)) as bench, slow_socket(bench.url) as writer:
        writer.write(frame('{"id":"a","type":"chat","body":{"model":"chat","stream":true}}'))
        await until(lambda: bool(bench.model.calls))

        async def flood() -> None:
            while True:
                writer.write(frame("[]") * 1000)  # each would get an error
                await writer.drain()

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(flood(), 1)
        assert bench.server.memory.used < MIB
