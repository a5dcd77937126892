"""How exchanges and servers end: disconnects, time limits, slow clients, failures, drain."""

import asyncio
import json
import logging
import socket
import tracemalloc

import pytest

from switchyard.http.body_memory import BodyMemory
from switchyard.http.server import Exchange, Server, ServerLimits, server
from tests.switchyard.http.serving import GET, echo, post, serving, until


async def test_a_body_is_taken_in_chunks_no_faster_than_the_handler_takes_them() -> None:
    taken: asyncio.Queue[None] = asyncio.Queue()
    sizes: list[int] = []

    async def slowly(exchange: Exchange) -> None:
        async for chunk in exchange.chunks():
            sizes.append(len(chunk))
            await taken.get()
        exchange.respond(200, [], b"%d" % sum(sizes))

    async with serving(slowly, ServerLimits(buffer_bytes=1000)) as running:
        wire = await running.wire()
        size = 2**24
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        await until(lambda: sizes)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await wire.writer.drain()
        assert len(sizes) == 1
        for _ in range(100_000):
            taken.put_nowait(None)
        assert await wire.answer() == (200, b"%d" % size)


@pytest.mark.parametrize("data", [b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"])
async def test_a_request_that_does_not_come_to_its_end_in_time_is_408(data: bytes) -> None:
    async with serving(echo, ServerLimits(read_seconds=0.05)) as running:
        wire = await running.wire()
        wire.send(data)
        status, body = await wire.answer()
        assert status == 408
        assert b"within 0.05 s" in body
        assert await wire.rest() == b""


async def test_a_connection_without_requests_is_closed_in_time() -> None:
    async with serving(echo, ServerLimits(idle_seconds=0.05)) as running:
        silent, used = await running.wire(), await running.wire()
        used.send(GET)
        assert (await used.answer())[0] == 200
        assert await silent.rest() == b""
        assert await used.rest() == b""


async def test_a_request_that_is_being_answered_is_not_idle() -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.2)
        exchange.respond(200, [])

    async with serving(slow, ServerLimits(idle_seconds=0.04, read_seconds=0.04)) as running:
        assert (await running.ask(GET))[0] == 200


async def test_a_client_that_takes_nothing_is_cut_off_in_time() -> None:
    ended: list[str] = []

    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [])
        try:
            while True:
                exchange.write(b"x" * 65536)
                await exchange.drain()
        finally:
            ended.append("cancelled")

    async with serving(stream, ServerLimits(stall_seconds=0.1)) as running:
        wire = await running.wire()
        wire.send(GET)
        await until(lambda: ended)


async def test_requests_whose_responses_are_not_read_are_neither_started_nor_read_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    beginning = 0

    async def large(exchange: Exchange) -> None:
        nonlocal beginning
        beginning += 1
        exchange.respond(200, [], b"x" * 1_000_000)

    async with serving(large, ServerLimits(stall_seconds=0.3)) as running:
        wire = await running.wire()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        wire.send(GET * 100)
        await until(lambda: beginning)
        before = -1
        while before != beginning:
            before = beginning
            await asyncio.sleep(0.05)
        assert beginning < 20
        wire.send(GET * 100)
        await until(lambda: not running.server._connections)
        assert beginning < 20


async def test_more_requests_than_may_wait_on_a_connection_are_rejected_behind_the_others() -> None:
    async with serving(echo, ServerLimits(pipelined=3)) as running:
        wire = await running.wire()
        wire.send(GET * 10)
        for _ in range(3):
            assert (await wire.answer())[0] == 200
        assert (await wire.answer())[0] == 503
        assert await wire.rest() == b""


async def test_headers_that_drip_in_are_given_up_in_time() -> None:
    async with serving(echo, ServerLimits(header_seconds=0.1)) as running:
        wire = await running.wire()
        wire.send(b"GET / HTTP/1.1\r\nHost: x\r\n")

        async def drip() -> None:
            while True:
                wire.send(b"A: b\r\n")
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        status, body = await wire.answer()
        dripping.cancel()
        assert status == 408
        assert b"within 0.1 s" in body


async def test_many_unfinished_bodies_do_not_fill_the_memory() -> None:
    async with serving(echo, ServerLimits(body_memory=1_000_000)) as running:
        wires = [await running.wire() for _ in range(4)]
        for held, wire in zip((400_000, 800_000, 800_000, 800_000), wires, strict=True):
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + bytes(400_000))
            await until(lambda expected=held: running.server.memory.used == expected)
        statuses = [(await wires[index].answer())[0] for index in (2, 3)]
        assert statuses == [503, 503]
        assert (await running.ask(post(b"small")))[0] == 200
        await wires[0].close()
        await wires[1].close()
        await until(lambda: running.server.memory.used == 0)


async def test_the_memory_of_large_bodies_is_given_back_once_they_have_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    given_back: list[int] = []
    monkeypatch.setattr(server, "_WORTH_BYTES", 300_000)
    monkeypatch.setattr(server, "give_back", lambda: given_back.append(1))
    async with serving(echo, ServerLimits(read_seconds=0.2)) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + bytes(400_000))
        assert (await wire.answer())[0] == 408  # several sweeps later
        await until(lambda: given_back)
        assert (await running.ask(post(b"small")))[0] == 200
    assert given_back == [1]


async def test_a_body_that_was_given_up_is_freed_at_once_and_never_taken_for_an_empty_one() -> None:
    looked = asyncio.Event()

    async def late(exchange: Exchange) -> None:
        await looked.wait()
        exchange.respond(200, [], b"%d" % len(await exchange.body(10_000_000)))

    async with serving(late, ServerLimits(body_memory=100_000)) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + bytes(200_000))
        await until(lambda: running.server.in_flight == 1 and running.server.memory.used == 0)
        wire.send(bytes(100_000))
        looked.set()
        assert (await wire.answer())[0] == 503
        assert running.server.memory.used == 0


async def test_an_idle_connection_makes_room_for_a_new_one() -> None:
    async with serving(echo, ServerLimits(connections=3)) as running:
        idle = [await running.wire() for _ in range(3)]
        await until(lambda: len(running.server._connections) == 3)
        assert (await running.ask(GET))[0] == 200
        assert await idle[0].rest() == b""


async def test_a_slow_client_holds_the_handler_back_and_gets_all_of_it() -> None:
    written = 0

    async def stream(exchange: Exchange) -> None:
        nonlocal written
        exchange.start(200, [])
        for _ in range(400):
            exchange.write(b"x" * 65536)
            written += 65536
            await exchange.drain()
        exchange.end()

    async with serving(stream) as running:
        wire = await running.wire()
        wire.writer.transport.pause_reading()  # type: ignore[attr-defined]
        wire.send(GET)
        await until(lambda: written)
        before = -1
        while before != written:
            before = written
            await asyncio.sleep(0.1)
        assert written < 400 * 65536
        wire.writer.transport.resume_reading()  # type: ignore[attr-defined]
        status, body = await wire.answer()
        assert (status, len(body)) == (200, 400 * 65536)


@pytest.mark.parametrize("started", [False, True])
async def test_a_client_that_disconnects_cancels_its_handler_at_once(started: bool) -> None:
    ended: list[float] = []

    async def hold(exchange: Exchange) -> None:
        if started:
            exchange.start(200, [])
            exchange.write(b"chunk")
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append(asyncio.get_running_loop().time())
            raise

    async with serving(hold) as running:
        wire = await running.wire()
        wire.send(post(b"whole"))
        await until(lambda: running.server.in_flight == 1)
        left = asyncio.get_running_loop().time()
        await wire.close()
        await until(lambda: ended)
        assert ended[0] - left < 0.1
        await until(lambda: running.server.in_flight == 0)


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_a_client_that_closes_for_writing_after_its_gets_still_gets_their_responses(method: bytes) -> None:
    release = asyncio.Event()

    async def slow(exchange: Exchange) -> None:
        await release.wait()
        exchange.respond(200, [], exchange.target)

    async with serving(slow) as running:
        wire = await running.wire()
        wire.send(b"%b /1 HTTP/1.1\r\nHost: x\r\n\r\n" % method + GET)
        wire.writer.write_eof()
        await until(lambda: running.server.in_flight == 1)
        await asyncio.sleep(0)
        release.set()
        assert b"content-length: 2\r\n" in await wire.head()
        rest = await wire.rest()
        assert b"connection: close" in rest
        assert rest.endswith(b"\r\n\r\n/")
        assert rest.startswith(b"/1" if method == b"GET" else b"HTTP/1.1 200")


async def test_a_client_that_closes_for_writing_after_a_post_has_disconnected() -> None:
    ended: list[str] = []

    async def hold(exchange: Exchange) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async with serving(hold) as running:
        wire = await running.wire()
        wire.send(post(b"whole"))
        await until(lambda: running.server.in_flight == 1)
        wire.writer.write_eof()
        await until(lambda: ended)
        assert await wire.rest() == b""


async def test_a_get_whose_client_has_gone_is_cancelled_once_something_is_sent() -> None:
    ended: list[str] = []
    go_on = asyncio.Event()

    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"beginning")
        await go_on.wait()
        try:
            while True:
                exchange.write(b"more")
                await asyncio.sleep(0.001)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async with serving(stream) as running:
        wire = await running.wire()
        wire.send(GET)
        await wire.head()
        await wire.close()
        go_on.set()
        await until(lambda: ended)


async def test_a_client_that_disconnects_within_its_body_cancels_the_handler() -> None:
    ended: list[str] = []

    async def hold(exchange: Exchange) -> None:
        try:
            await exchange.body(100)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async with serving(hold) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        await until(lambda: running.server.in_flight == 1)
        await wire.close()
        await until(lambda: ended)


async def test_a_handler_that_fails_is_logged_and_its_client_told_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(exchange: Exchange) -> None:
        if exchange.target == b"/late":
            exchange.start(200, [])
            exchange.write(b"part")
        raise KeyError("secret")

    async with serving(broken) as running:
        with caplog.at_level(logging.ERROR):
            wire = await running.wire()
            wire.send(GET)
            status, body = await wire.answer()
            assert (status, json.loads(body)["error"]["message"]) == (500, "internal error")
            assert "secret" in caplog.text
            wire.send(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
            await wire.head()
            assert not (await wire.rest()).endswith(b"0\r\n\r\n")


async def test_a_handler_that_does_not_respond_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(0)

    async with serving(silent) as running:
        assert (await running.ask(GET))[0] == 500
    assert "without a response" in caplog.text


async def test_a_header_that_would_split_the_response_is_rejected(caplog: pytest.LogCaptureFixture) -> None:
    async def splitting(exchange: Exchange) -> None:
        exchange.respond(200, [(b"x", b"a\r\nset-cookie: b")])

    async with serving(splitting) as running:
        assert (await running.ask(GET))[0] == 500


async def test_a_retiring_server_makes_each_answer_the_last_of_its_connection() -> None:
    async with serving(echo) as running:
        wire, idle = await running.wire(), await running.wire()
        wire.send(GET)
        await wire.answer()
        running.server.retire()
        wire.send(GET)
        assert b"connection: close" in await wire.head()
        assert await wire.rest() == b"GET / "
        idle.send(GET)
        assert b"connection: close" in await idle.head()


async def test_a_draining_server_finishes_what_it_has_and_rejects_the_rest() -> None:
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"beginning ")
        await release.wait()
        exchange.write(b"done")
        exchange.end()

    async with serving(hold) as running:
        busy, idle = await running.wire(), await running.wire()
        busy.send(GET)
        await until(lambda: running.server.in_flight == 1)
        drained = asyncio.create_task(running.server.drain())
        assert await idle.rest() == b""
        with pytest.raises(ConnectionError):
            await running.wire()
        assert not drained.done()
        release.set()
        assert await busy.answer() == (200, b"beginning done")
        async with asyncio.timeout(5):
            await drained


async def test_without_a_host_every_address_of_the_machine_is_served() -> None:
    server = Server(echo)
    port = await server.listen()
    for host in ("127.0.0.1", *(["::1"] if socket.has_dualstack_ipv6() else [])):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(GET)
        assert await reader.readuntil(b"\r\n") == b"HTTP/1.1 200 OK\r\n"
        writer.close()
    await server.aclose()


async def test_closing_at_once_cancels_what_is_in_flight() -> None:
    async def hold(exchange: Exchange) -> None:
        await asyncio.sleep(30)

    server = Server(hold)
    port = await server.listen("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(GET)
    await until(lambda: server.in_flight == 1)
    async with asyncio.timeout(5):
        await server.aclose()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
    writer.close()
    assert server.in_flight == 0


async def test_a_large_body_takes_its_size_once_while_it_is_gathered() -> None:
    size, chunk = 16_000_000, 250_000

    class Gathering(Exchange):
        def _wanted(self) -> None: ...

    exchange = Gathering(asyncio.get_running_loop(), chunk, BodyMemory(size))
    tracemalloc.start()
    try:
        reading = asyncio.create_task(exchange.body(size))
        await asyncio.sleep(0)
        for number in range(size // chunk):
            exchange.feed(bytes([number]) * chunk)
        exchange.arrived()
        body = await reading
        assert tracemalloc.get_traced_memory()[1] < 1.3 * size
    finally:
        tracemalloc.stop()
    assert body == b"".join([bytes([number]) * chunk for number in range(size // chunk)])
