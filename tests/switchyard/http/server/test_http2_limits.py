"""What takes too long or too much in HTTP/2 ends, and others go on."""

import asyncio

from switchyard.http.h2 import frames
from switchyard.http.server import Exchange, ServerLimits
from switchyard.http.server.http2_connection import _UNTAKEN_BYTES
from tests.switchyard.http.h2.raw import GREETING, HOST, Talk, goodbye, request_bytes
from tests.switchyard.http.serving import Running, serving, until

FIELDS = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/")]
POST = [(b":method", b"POST"), *FIELDS[1:]]
LARGE = _UNTAKEN_BYTES // 4


def to(path: bytes) -> list[tuple[bytes, bytes]]:
    return [*FIELDS[:-1], (b":path", path)]


async def heard_until_the_end(running: Running, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(HOST, running.port)
    writer.write(sent)
    async with asyncio.timeout(5):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_stream_whose_window_stays_shut_is_reset_and_its_handler_cancelled() -> None:
    ended: list[str] = []

    async def stream(exchange: Exchange) -> None:
        if exchange.path == b"/other":
            exchange.respond(200, [], b"others go on")
            return
        exchange.start(200, [])
        try:
            while True:
                exchange.write(bytes(10_000))
                await exchange.drain()
        finally:
            ended.append("cancelled")

    async with serving(stream, ServerLimits(stall_seconds=0.1)) as running:
        talk = await Talk.to(running.port, FIELDS)
        assert await talk.hears(frames.RST_STREAM) == frames.uint32(frames.CANCEL)
        assert ended == ["cancelled"]
        talk.widens(100_000)
        talk.asks(3, to(b"/other"))
        assert await talk.hears(frames.DATA, stream=3) == b"others go on"
        await talk.disconnects()


async def test_a_stream_that_is_read_byte_by_byte_is_no_better() -> None:
    async def large(exchange: Exchange) -> None:
        exchange.respond(200, [], bytes(100_000))

    async with serving(large, ServerLimits(stall_seconds=0.2)) as running:
        talk = await Talk.to(running.port, FIELDS)

        async def drip() -> None:
            while True:
                talk.widens_stream(1, 1)
                await asyncio.sleep(0.01)

        dripping = asyncio.create_task(drip())
        assert await talk.hears(frames.RST_STREAM) == frames.uint32(frames.CANCEL)
        dripping.cancel()
        await talk.disconnects()


async def test_a_body_that_does_not_come_to_its_end_in_time_is_408() -> None:
    async def read(exchange: Exchange) -> None:
        exchange.respond(200, [], await exchange.body(100))

    async with serving(read, ServerLimits(read_seconds=0.1)) as running:
        talk = await Talk.to(running.port, POST, ends=False)
        talk.sends(1, b"abc", ends=False)
        assert b":status\x03408" in await talk.hears(frames.HEADERS)
        assert await talk.hears(frames.RST_STREAM) == frames.uint32(frames.NO_ERROR)
        await talk.disconnects()


async def test_a_body_that_its_handler_does_not_read_yet_may_wait() -> None:
    go_on = asyncio.Event()

    async def later(exchange: Exchange) -> None:
        await go_on.wait()
        exchange.respond(200, [], await exchange.body(100))

    async with serving(later, ServerLimits(read_seconds=0.1)) as running:
        talk = await Talk.to(running.port, POST, ends=False)
        await until(lambda: running.server.in_flight)
        await asyncio.sleep(0.3)  # three times the limit
        go_on.set()
        talk.sends(1, b"in time")
        assert await talk.hears(frames.DATA) == b"in time"
        await talk.disconnects()


async def test_a_frame_or_a_header_block_that_does_not_end_is_the_end_of_the_connection() -> None:
    async def respond(exchange: Exchange) -> None:
        exchange.respond(200, [])

    block = request_bytes(FIELDS)
    open_block = block[:4] + b"\1" + block[5:]  # no END_HEADERS
    async with serving(respond, ServerLimits(header_seconds=0.1)) as running:
        for begun in (block[:-3], frames.settings({}), open_block):
            sent = GREETING + (begun if begun != frames.settings({}) else begun[:5])
            assert goodbye(await heard_until_the_end(running, sent)) == frames.ENHANCE_YOUR_CALM


async def test_a_connection_without_streams_is_closed_in_time() -> None:
    async def respond(exchange: Exchange) -> None:
        exchange.respond(200, [])

    async with serving(respond, ServerLimits(idle_seconds=0.1)) as running:
        for sent in (GREETING, GREETING + request_bytes(FIELDS)):
            assert goodbye(await heard_until_the_end(running, sent)) == frames.NO_ERROR


async def test_while_a_client_takes_nothing_none_of_its_further_requests_is_started() -> None:
    started: list[bytes] = []

    async def large(exchange: Exchange) -> None:
        started.append(exchange.path)
        exchange.respond(200, [], bytes(LARGE))

    async with serving(large) as running:
        talk = await Talk.to(running.port, to(b"/0"))
        for number in range(1, 20):
            talk.asks(2 * number + 1, to(b"/%d" % number))
            talk.pings()
            await talk.hears(frames.PING, stream=0)  # so each request is handled before the next
        talk.pings()
        await talk.hears(frames.PING, stream=0)  # all before it has been read
        assert len(started) == 5
        talk.gives_up(1)
        await until(lambda: len(started) == 6)
        talk.gives_up(39)  # one that waits
        for number in range(3, 39, 2):
            talk.gives_up(number)
        await until(lambda: running.server.in_flight == 0)
        talk.widens(2 * LARGE)
        talk.asks(41, to(b"/last"))
        await talk.hears(frames.DATA, stream=41)
        assert b"/19" not in started
        await talk.disconnects()


async def test_streams_of_one_connection_share_what_they_may_leave_unsent() -> None:
    written: dict[bytes, int] = {}

    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [])
        while True:
            exchange.write(bytes(16_000))
            written[exchange.path] = written.get(exchange.path, 0) + 16_000
            await exchange.drain()

    async with serving(stream) as running:
        talk = await Talk.to(running.port, to(b"/0"))
        for number in range(1, 60):
            talk.asks(2 * number + 1, to(b"/%d" % number))
        await until(lambda: len(written) == 60)
        talk.pings()
        await talk.hears(frames.PING, stream=0)
        assert sum(written.values()) < 60 * 16_000 + frames.DEFAULT_WINDOW + 300_000
        await talk.disconnects()
