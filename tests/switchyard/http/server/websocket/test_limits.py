"""Limits of WebSockets: sizes, floods, times, memory, and clients that do not read."""

import asyncio

import pytest
from wsproto.events import CloseConnection, Ping, Pong

from switchyard.http.server import ServerLimits
from switchyard.http.server.websocket import codes
from switchyard.http.server.websocket.connection import WebSocket
from tests.switchyard.http.server.websocket.sockets import SocketWire, serving_sockets
from tests.switchyard.http.server.websocket.test_frames import frame
from tests.switchyard.http.serving import until

MIB = 1024 * 1024


async def never(socket: WebSocket) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    "data",
    [
        frame(0x81, b"a" * 1001),
        frame(0x01, b"a" * 600) + frame(0x80, b"a" * 401),
        frame(0x81, length=b"\x7f" + bytes(4) + b"\x7f\xff\xff\xff") + b"a" * 1001,  # 2 GiB are announced
    ],
    ids=["whole", "parts", "announced"],
)
async def test_a_message_that_is_too_big_is_closed_with_1009_as_soon_as_it_is(data: bytes) -> None:
    async with serving_sockets(limits=ServerLimits(message_bytes=1000)) as running:
        wire = await running.open()
        wire.say("a" * 1000)
        assert await wire.text() == "a" * 1000
        wire.send(data)
        assert await wire.closed() == codes.MESSAGE_TOO_BIG


@pytest.mark.parametrize(
    ("once", "again"),
    [(b"", frame(0x89)), (b"", frame(0x8A)), (frame(0x01), frame(0x00)), (frame(0x01), frame(0x00, b"a"))],
    ids=["pings", "pongs", "empty parts", "parts of a byte"],
)
async def test_a_flood_of_frames_without_content_is_closed_with_1008(once: bytes, again: bytes) -> None:
    async with serving_sockets(limits=ServerLimits(control_frames=50, control_frames_per_second=1)) as running:
        wire = await running.open()
        wire.send(once + again * 200)
        assert await wire.closed() == codes.POLICY_VIOLATION


async def test_a_message_has_a_time_however_its_parts_come() -> None:
    async with serving_sockets(limits=ServerLimits(read_seconds=0.1)) as running:
        slow, quick = await running.open(), await running.open()
        slow.send(frame(0x01, b"begun"))
        async with asyncio.timeout(5):
            closed = asyncio.create_task(slow.closed())
            while not closed.done():
                slow.send(frame(0x00, b"and on"))
                quick.send(frame(0x01, b"whole ") + frame(0x80, b"messages") + frame(0x01, b"a ") + frame(0x80, b"b"))
                assert [await quick.text(), await quick.text()] == ["whole messages", "a b"]
        assert closed.result() == codes.POLICY_VIOLATION


async def test_a_socket_without_messages_is_closed_and_one_that_works_is_not() -> None:
    async def works(socket: WebSocket) -> None:
        await socket.receive()
        socket.begin_work()
        await asyncio.Event().wait()

    async with serving_sockets(works, ServerLimits(quiet_seconds=1.0, ping_seconds=0.4)) as running:
        silent, working = await running.open(), await running.open()
        working.say("work")
        goes_on = asyncio.create_task(working.closed())
        assert await silent.closed() == codes.IDLE  # though it responds to pings
        assert not goes_on.done()
        goes_on.cancel()


async def test_a_client_that_is_silent_gets_pings_and_is_cut_when_it_says_nothing() -> None:
    gone = asyncio.Event()

    async def waits(socket: WebSocket) -> None:
        try:
            await socket.receive()
        finally:
            gone.set()

    async with serving_sockets(waits, ServerLimits(ping_seconds=0.3)) as running:
        wire = await running.open()
        for _ in range(4):  # longer than a silent one lives
            ping = await wire.event()
            assert isinstance(ping, Ping)
            wire.send(wire.frames.send(ping.response()))
        assert not gone.is_set()
        assert await wire.closed(pongs=False) == 0
        await asyncio.wait_for(gone.wait(), 5)


async def test_messages_that_the_handler_does_not_take_stop_the_client() -> None:
    async with serving_sockets(never, ServerLimits(buffer_bytes=10_000)) as running:
        for text in ("a" * 5000, "{}"):
            wire = await running.open()
            data = frame(0x81, text.encode()) * (16 * MIB // (len(text) + 8))
            wire.send(data)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await wire.writer.drain()
            assert running.server.memory.used < MIB
        await running.server.aclose()
        assert not running.server.memory.used


async def test_messages_count_as_memory_and_too_many_are_closed_with_1013() -> None:
    async with serving_sockets(never, ServerLimits(body_memory=4 * MIB, message_bytes=2 * MIB)) as running:
        wires = [await running.open() for _ in range(8)]
        for wire in wires:
            wire.send(frame(0x01) + frame(0x00, b"a" * 60_000) * 17)
        closed = [asyncio.create_task(wire.closed()) for wire in wires]
        done, waiting = await asyncio.wait(closed, timeout=0.5)
        assert {task.result() for task in done} == {codes.TRY_AGAIN_LATER}
        assert running.server.memory.used <= 6.1 * MIB
        for task in waiting:
            task.cancel()
        await running.server.aclose()
        assert not running.server.memory.used


async def slow_reader(wire: SocketWire, size: int) -> bytes:
    async with asyncio.timeout(5):
        return await wire.reader.readexactly(size)


async def test_a_client_that_does_not_read_stops_the_handler_and_one_that_takes_nothing_is_cut() -> None:
    sent = 0

    async def floods(socket: WebSocket) -> None:
        nonlocal sent
        while True:
            socket.send(b"a" * 10_000)
            sent += 1
            await socket.writable()

    async with serving_sockets(floods, ServerLimits(stall_seconds=0.3)) as running:
        wire = await running.open()
        before = -1
        while sent != before:  # until the buffers of both systems are full
            before = sent
            await asyncio.sleep(0.05)
        assert sent * 10_000 < 16 * MIB
        await slow_reader(wire, 4 * MIB)
        await until(lambda: sent > before)
        await until(lambda: not running.server.in_flight)  # it was cut, and its handler cancelled


async def test_pongs_for_a_client_that_does_not_read_do_not_pile_up() -> None:
    async def floods(socket: WebSocket) -> None:
        while True:
            socket.send(b"a" * 100_000)
            await socket.writable()

    async with serving_sockets(floods, ServerLimits(control_frames=100_000)) as running:
        wire = await running.open()
        (connection,) = running.server._connections
        assert isinstance(connection, WebSocket)
        await until(lambda: connection.congested)
        before = connection._transport.get_write_buffer_size()
        for number in range(1000):
            wire.send(wire.frames.send(Ping(payload=b"%d" % number)))
        await until(lambda: connection._pong == Pong(payload=b"999"))
        assert connection._transport.get_write_buffer_size() == before
        while not isinstance(event := await wire.event(), Pong):
            pass
        assert event.payload == b"999"


async def test_writers_of_one_socket_take_turns_while_its_client_is_slow() -> None:
    async def floods(socket: WebSocket) -> None:
        async def writer(number: int) -> None:
            while True:
                socket.send(b"%d" % number * 50_000)
                await asyncio.sleep(0)
                await socket.writable()

        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(writer(number))

    async with serving_sockets(floods) as running:
        wire = await running.open()
        seen = [0] * 8
        for _ in range(400):
            text = await wire.text()
            seen[int(text[0])] += 1
        assert max(seen) - min(seen) <= 1


async def test_an_idle_socket_makes_room_for_a_new_connection_and_one_that_works_does_not() -> None:
    async def works(socket: WebSocket) -> None:
        if await socket.receive() == b"work":
            socket.begin_work()
            socket.send(b"working")
        await asyncio.Event().wait()

    async with serving_sockets(works, ServerLimits(connections=3)) as running:
        working, idle = await running.open(), await running.open()
        working.say("work")
        assert await working.text() == "working"
        await running.open()
        assert await idle.closed() == 0
        working.say("still there")


async def test_what_the_handler_sends_after_the_end_is_dropped() -> None:
    ended = asyncio.Event()

    async def stubborn(socket: WebSocket) -> None:
        try:
            await socket.receive()
        finally:
            socket.send(b"too late")
            await socket.writable()
            ended.set()

    async with serving_sockets(stubborn) as running:
        wire = await running.open()
        wire.send(wire.frames.send(CloseConnection(code=1000)))
        assert await wire.closed() == 1000
        await asyncio.wait_for(ended.wait(), 5)
