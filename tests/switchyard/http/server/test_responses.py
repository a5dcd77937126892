"""What a server sends: framing, keeping connections, HTTP/1.0."""

import asyncio

import pytest

from switchyard.http.server import Exchange
from tests.switchyard.http.serving import GET, TEXT, echo, serving


async def test_a_plain_response_says_how_long_it_is_and_when_it_was_given() -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        async with asyncio.timeout(5):
            head = await wire.reader.readuntil(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert lines[:2] == [b"HTTP/1.1 200 OK", b"content-type: text/plain"]
        assert lines[2].startswith(b"date: ")
        assert lines[2].endswith(b" GMT")
        assert lines[3:] == [b"content-length: 14", b"", b""]
        assert await wire.exactly(14) == b"POST /a?b=c hi"


async def test_requests_sent_without_waiting_get_responses_in_their_order() -> None:
    turns: list[bytes] = []

    async def slow_first(exchange: Exchange) -> None:
        if exchange.target == b"/0":
            await asyncio.sleep(0.02)
        turns.append(exchange.target)
        exchange.respond(200, [], exchange.target)

    async with serving(slow_first) as running:
        wire = await running.wire()
        wire.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(50)))
        assert [await wire.answer() for _ in range(50)] == [(200, b"/%d" % number) for number in range(50)]
    assert turns == [b"/%d" % number for number in range(50)]


async def test_a_response_in_parts_is_chunked_and_each_goes_out_at_once() -> None:
    steps: asyncio.Queue[bytes] = asyncio.Queue()

    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [TEXT])
        while chunk := await steps.get():
            exchange.write(chunk)
            await exchange.drain()
        exchange.end()

    async with serving(stream) as running:
        wire = await running.wire()
        wire.send(GET)
        for chunk in (b"one", b"x" * 100_000, b"three"):
            steps.put_nowait(chunk)
            if chunk == b"one":
                assert b"transfer-encoding: chunked" in await wire.head()
            assert await wire.chunk() == chunk
        steps.put_nowait(b"")
        assert await wire.chunk() == b""


async def test_the_head_alone_goes_out_with_an_empty_write() -> None:
    release = asyncio.Event()

    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [TEXT])
        exchange.write(b"")
        await release.wait()
        exchange.end()

    async with serving(stream) as running:
        wire = await running.wire()
        wire.send(GET)
        assert b"200 ok" in await wire.head()
        release.set()
        assert await wire.chunk() == b""


async def test_a_declared_length_frames_the_chunks_of_a_response() -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-length", b"6")])
        exchange.write(b"abc")
        exchange.write(b"def")
        exchange.end()

    async with serving(stream) as running:
        wire = await running.wire()
        for _ in range(2):
            wire.send(GET)
            assert await wire.answer() == (200, b"abcdef")


@pytest.mark.parametrize("written", [b"abc", b"abcdefg"])
async def test_a_response_that_breaks_its_declared_length_is_aborted(
    written: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [(b"content-length", b"6")])
        exchange.write(b"")
        exchange.write(written)
        exchange.end()

    async with serving(stream) as running:
        wire = await running.wire()
        wire.send(GET)
        await wire.head()
        assert len(await wire.rest()) <= 3


async def test_head_gets_only_the_headers_of_the_response() -> None:
    async def either(exchange: Exchange) -> None:
        if exchange.target == b"/whole":
            exchange.respond(200, [TEXT], b"body")
        else:
            exchange.start(200, [(b"content-length", b"4")])
            exchange.write(b"body")
            exchange.end()

    async with serving(either) as running:
        wire = await running.wire()
        for target in (b"/whole", b"/chunks", b"/whole"):
            wire.send(b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            assert b"content-length: 4\r\n" in await wire.head()
        wire.send(b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await wire.answer() == (200, b"body")


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_content_have_no_framing(status: int) -> None:
    async def nothing(exchange: Exchange) -> None:
        if exchange.target == b"/whole":
            exchange.respond(status, [])
        else:
            exchange.start(status, [])
            exchange.end()

    async with serving(nothing) as running:
        wire = await running.wire()
        for target in (b"/whole", b"/chunks"):
            wire.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            head = await wire.head()
            assert b"content-length" not in head
            assert b"transfer-encoding" not in head
