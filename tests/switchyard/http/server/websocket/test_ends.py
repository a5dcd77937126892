"""How WebSockets end: disconnects, failures of the handler, drain."""

import asyncio
import logging

import pytest
from wsproto.events import CloseConnection

from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.connection import WebSocket
from tests.switchyard.http.server.websocket.sockets import serving_sockets
from tests.switchyard.http.serving import GET, until


@pytest.mark.parametrize("how", ["close", "cut", "end"])
async def test_the_handler_is_cancelled_once_when_the_client_leaves(how: str) -> None:
    cancelled: list[bool] = []
    cleaned = asyncio.Event()

    async def works(socket: WebSocket) -> None:
        socket.begin_work()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(True)
            await asyncio.sleep(0.05)  # a second cancellation would end this
            cleaned.set()

    async with serving_sockets(works) as running:
        wire = await running.open()
        await until(lambda: running.server.in_flight)
        if how == "close":
            wire.send(wire.frames.send(CloseConnection(code=1001)))
        elif how == "cut":
            wire.writer.transport.abort()
        else:
            wire.writer.write_eof()
        await asyncio.wait_for(cleaned.wait(), 5)
        assert cancelled == [True]


async def test_a_handler_that_fails_or_forgets_closes_with_1011(caplog: pytest.LogCaptureFixture) -> None:
    async def fails(socket: WebSocket) -> None:
        if await socket.receive() == b"fail":
            raise RuntimeError("a bug")

    with caplog.at_level(logging.ERROR):
        async with serving_sockets(fails) as running:
            for text in ("fail", "return"):
                wire = await running.open()
                wire.say(text)
                assert await wire.closed() == codes.INTERNAL_ERROR
    assert [record.getMessage() for record in caplog.records] == [
        "a handler failed",
        "a handler returned without a response",
    ]


async def test_the_handler_closes_with_its_own_code_and_reason() -> None:
    async def closes(socket: WebSocket) -> None:
        await socket.receive()
        socket.send(b"last")
        socket.close(4321, "enough")

    async with serving_sockets(closes) as running:
        wire = await running.open()
        wire.say("a")
        assert await wire.text() == "last"
        assert await wire.event() == CloseConnection(code=4321, reason="enough")
        await until(lambda: not running.server.in_flight)


async def test_a_drain_closes_idle_sockets_and_others_after_their_last_work() -> None:
    finish = asyncio.Event()

    async def works(socket: WebSocket) -> None:
        while True:
            message = await socket.receive()
            if socket.leaving:
                socket.send(b"leaving")
                continue
            socket.begin_work()
            await finish.wait()
            socket.send(b"done " + message)
            socket.end_work()

    async with serving_sockets(works) as running:
        idle, working = await running.open(), await running.open()
        working.say("a")
        await until(lambda: any(isinstance(one, WebSocket) and one.work for one in running.server._connections))
        draining = asyncio.create_task(running.server.drain())
        assert await idle.closed() == codes.GOING_AWAY
        assert not draining.done()
        finish.set()
        assert await working.text() == "done a"
        assert await working.closed() == codes.GOING_AWAY
        await asyncio.wait_for(draining, 5)


async def test_a_retiring_server_closes_a_socket_after_its_work_and_leaves_idle_ones() -> None:
    async def works(socket: WebSocket) -> None:
        while True:
            message = await socket.receive()
            socket.begin_work()
            socket.send(message)
            socket.end_work()

    async with serving_sockets(works) as running:
        idle, working = await running.open(), await running.open()
        running.server.retire()
        working.say("a")
        assert await working.text() == "a"
        assert await working.closed() == codes.GOING_AWAY
        late = await running.open()
        late.say("b")
        assert await late.text() == "b"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await idle.closed()


async def test_a_stop_cuts_sockets_and_cancels_their_handlers() -> None:
    async with serving_sockets() as running:
        wire = await running.open()
        await running.server.aclose()
        assert await wire.closed() == 0
        assert not running.server.in_flight


async def test_http_goes_on_beside_sockets() -> None:
    async with serving_sockets() as running:
        await running.open()
        plain = await running.raw()
        plain.send(GET)
        assert (await plain.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
