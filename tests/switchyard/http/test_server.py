"""The server against real sockets that send exact bytes."""

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.http.server import Exchange, Server, ServerLimits
from tests.switchyard.http.serving import serving, until

TEXT = (b"content-type", b"text/plain")
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD_OF_CHUNKS = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(body: bytes, *lines: bytes) -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST /echo HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


async def echo(exchange: Exchange) -> None:
    exchange.answer(200, [TEXT], exchange.method + b" " + exchange.target + b" " + await exchange.body(2**20))


async def test_a_plain_answer_says_how_long_it_is_and_when_it_was_given() -> None:
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


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        for number in range(5):
            wire.send(post(b"%d" % number))
            assert await wire.answer() == (200, b"POST /echo %d" % number)


async def test_names_of_headers_are_in_lower_case_and_repeated_ones_are_kept() -> None:
    seen: list[object] = []

    async def handler(exchange: Exchange) -> None:
        seen.extend((exchange.headers, exchange.header(b"x-one"), exchange.header(b"absent"), exchange.path))
        exchange.answer(204, [])

    async with serving(handler) as running:
        wire = await running.wire()
        wire.send(b"GET /p/q?x HTTP/1.1\r\nHost: x\r\nX-One: A\r\nx-oNe:  b \r\n\r\n")
        assert b" 204 no content\r\n" in await wire.head()
    assert seen == [[(b"host", b"x"), (b"x-one", b"A"), (b"x-one", b"b")], b"A", None, b"/p/q"]


async def test_requests_sent_without_waiting_are_answered_in_their_order() -> None:
    turns: list[bytes] = []

    async def slow_first(exchange: Exchange) -> None:
        if exchange.target == b"/0":
            await asyncio.sleep(0.02)
        turns.append(exchange.target)
        exchange.answer(200, [], exchange.target)

    async with serving(slow_first) as running:
        wire = await running.wire()
        wire.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(50)))
        assert [await wire.answer() for _ in range(50)] == [(200, b"/%d" % number) for number in range(50)]
    assert turns == [b"/%d" % number for number in range(50)]


async def test_a_client_that_sends_on_while_its_request_is_answered_is_not_read() -> None:
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await release.wait()
        exchange.answer(200, [])

    async with serving(hold) as running:
        wire = await running.wire()
        wire.send(GET)
        await until(lambda: running.server.in_flight == 1)
        flood = post(b"x" * 2**24)
        wire.send(flood)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await wire.writer.drain()
        release.set()
        assert (await wire.answer())[0] == 200
        assert (await wire.answer())[0] == 200


@pytest.mark.parametrize("cut", [1, 7, 40])
async def test_a_request_that_comes_in_small_pieces_is_read_whole(cut: int) -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        data = post(b"hello") + HEAD_OF_CHUNKS + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Trailer: t\r\n\r\n"
        for start in range(0, len(data), cut):
            wire.send(data[start : start + cut])
            await asyncio.sleep(0)
        assert await wire.answer() == (200, b"POST /echo hello")
        assert await wire.answer() == (200, b"POST / hello")


async def test_an_answer_in_pieces_is_chunked_and_each_goes_out_at_once() -> None:
    steps: asyncio.Queue[bytes] = asyncio.Queue()

    async def stream(exchange: Exchange) -> None:
        exchange.start(200, [TEXT])
        while piece := await steps.get():
            exchange.write(piece)
            await exchange.drain()
        exchange.end()

    async with serving(stream) as running:
        wire = await running.wire()
        wire.send(GET)
        for piece in (b"one", b"x" * 100_000, b"three"):
            steps.put_nowait(piece)
            if piece == b"one":
                assert b"transfer-encoding: chunked" in await wire.head()
            assert await wire.chunk() == piece
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


async def test_a_declared_length_frames_the_pieces_of_an_answer() -> None:
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
async def test_an_answer_that_breaks_its_declared_length_is_cut(
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


async def test_head_gets_the_head_of_the_answer_only() -> None:
    async def either(exchange: Exchange) -> None:
        if exchange.target == b"/whole":
            exchange.answer(200, [TEXT], b"body")
        else:
            exchange.start(200, [(b"content-length", b"4")])
            exchange.write(b"body")
            exchange.end()

    async with serving(either) as running:
        wire = await running.wire()
        for target in (b"/whole", b"/pieces", b"/whole"):
            wire.send(b"HEAD %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            assert b"content-length: 4\r\n" in await wire.head()
        wire.send(b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await wire.answer() == (200, b"body")


@pytest.mark.parametrize("status", [204, 304])
async def test_statuses_without_content_have_no_framing(status: int) -> None:
    async def nothing(exchange: Exchange) -> None:
        if exchange.target == b"/whole":
            exchange.answer(status, [])
        else:
            exchange.start(status, [])
            exchange.end()

    async with serving(nothing) as running:
        wire = await running.wire()
        for target in (b"/whole", b"/pieces"):
            wire.send(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target)
            head = await wire.head()
            assert b"content-length" not in head
            assert b"transfer-encoding" not in head


async def test_a_client_of_http_1_0_gets_its_connection_closed_unless_it_asks_to_keep_it() -> None:
    async def either(exchange: Exchange) -> None:
        if exchange.target == b"/whole":
            exchange.answer(200, [], b"whole")
        else:
            exchange.start(200, [])
            exchange.write(b"pie")
            exchange.write(b"ces")
            exchange.end()

    async with serving(either) as running:
        wire = await running.wire()
        wire.send(b"GET /whole HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = await wire.head()
        assert b"connection: keep-alive" in head
        assert await wire.exactly(5) == b"whole"
        wire.send(b"GET /pieces HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = await wire.head()
        assert b"connection: close" in head
        assert b"transfer-encoding" not in head
        assert await wire.rest() == b"pieces"
        other = await running.wire()
        other.send(b"GET /whole HTTP/1.0\r\n\r\n")
        assert b"connection: close" in await other.head()
        assert await other.rest() == b"whole"


async def test_connection_close_is_honoured_and_said() -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(post(b"bye", b"Connection: close"))
        assert b"connection: close" in await wire.head()
        assert await wire.rest() == b"POST /echo bye"


async def test_a_client_that_expects_100_continue_is_told_to_go_on_only_when_its_body_is_wanted() -> None:
    async def picky(exchange: Exchange) -> None:
        if exchange.target == b"/refuse":
            exchange.answer(403, [], b"no")
        else:
            await echo(exchange)

    async with serving(picky) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert await wire.head() == b"http/1.1 100 continue\r\n\r\n"
        wire.send(b"body")
        assert await wire.answer() == (200, b"POST / body")
        wire.send(b"POST /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        head = await wire.head()
        assert b" 403 " in head
        assert b"connection: close" in head
        assert await wire.rest() == b"no"


@pytest.mark.parametrize(
    "data",
    [
        post(b"x" * 11),
        HEAD_OF_CHUNKS + b"b\r\nxxxxxxxxxxx\r\n0\r\n\r\n",
        HEAD_OF_CHUNKS + b"b\r\nxxxxxxxxxxx\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n",
    ],
)
async def test_a_body_over_the_handlers_limit_is_413(data: bytes) -> None:
    async def small(exchange: Exchange) -> None:
        exchange.answer(200, [], await exchange.body(10))

    async with serving(small) as running:
        status, body = await running.ask(data)
        assert status == 413
        assert b"exceeds 10 bytes" in body


async def test_a_refused_upload_is_told_so_although_it_is_still_being_sent() -> None:
    async def small(exchange: Exchange) -> None:
        exchange.answer(200, [], await exchange.body(10))

    async with serving(small) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 4_000_000)
        assert (await wire.answer())[0] == 413
        assert await wire.rest() == b""


async def test_a_body_is_taken_in_pieces_no_faster_than_the_handler_takes_them() -> None:
    taken: asyncio.Queue[None] = asyncio.Queue()
    sizes: list[int] = []

    async def slowly(exchange: Exchange) -> None:
        async for piece in exchange.pieces():
            sizes.append(len(piece))
            await taken.get()
        exchange.answer(200, [], b"%d" % sum(sizes))

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


BAD = {
    "garbage": b"hello\r\n\r\n",
    "another protocol": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two framings": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two framings, the other way": HEAD_OF_CHUNKS[:-2] + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    "chunks not last": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunks in name only": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "blank before the colon": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length : 3\r\n\r\nabc",
    "a folded line": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a zero byte": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "a bare line feed": b"GET / HTTP/1.1\nHost: x\n\n",
    "a bad chunk": HEAD_OF_CHUNKS + b"zz\r\nabc\r\n0\r\n\r\n",
    "a chunk longer than it says": HEAD_OF_CHUNKS + b"2\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
async def test_what_breaks_http_is_400_and_the_end_of_the_connection(data: bytes) -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(data + GET)
        assert (await wire.answer())[0] == 400
        assert await wire.rest() == b""


async def test_a_bad_request_behind_a_good_one_is_refused_after_its_answer() -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.01)
        exchange.answer(200, [], b"good")

    async with serving(slow) as running:
        wire = await running.wire()
        wire.send(GET + b"hello\r\n\r\n")
        assert await wire.answer() == (200, b"good")
        assert (await wire.answer())[0] == 400
        assert await wire.rest() == b""


@pytest.mark.parametrize("pieces", [1, 50])
async def test_a_head_over_the_limit_is_431(pieces: int) -> None:
    async with serving(echo, ServerLimits(header_bytes=1000)) as running:
        wire = await running.wire()
        data = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 5000 + b"\r\n\r\n"
        size = len(data) // pieces
        for start in range(0, len(data), size):
            wire.send(data[start : start + size])
            await asyncio.sleep(0)
        assert (await wire.answer())[0] == 431


async def test_a_head_within_the_limit_may_come_with_a_large_body() -> None:
    async with serving(echo, ServerLimits(header_bytes=200)) as running:
        assert (await running.ask(post(b"x" * 5000)))[0] == 200


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
        exchange.answer(200, [])

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
async def test_a_client_that_hangs_up_cancels_its_handler_at_once(started: bool) -> None:
    ended: list[float] = []

    async def hold(exchange: Exchange) -> None:
        if started:
            exchange.start(200, [])
            exchange.write(b"piece")
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ended.append(asyncio.get_running_loop().time())
            raise

    async with serving(hold) as running:
        wire = await running.wire()
        wire.send(GET)
        await until(lambda: running.server.in_flight == 1)
        left = asyncio.get_running_loop().time()
        await wire.close()
        await until(lambda: ended)
        assert ended[0] - left < 0.1
        await until(lambda: running.server.in_flight == 0)


async def test_a_client_that_hangs_up_within_its_body_cancels_the_handler() -> None:
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
            assert await wire.answer() == (500, b'{"error": "internal error"}')
            assert "secret" in caplog.text
            wire.send(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
            await wire.head()
            assert not (await wire.rest()).endswith(b"0\r\n\r\n")


async def test_a_handler_that_does_not_answer_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(exchange: Exchange) -> None:
        await asyncio.sleep(0)

    async with serving(silent) as running:
        assert (await running.ask(GET))[0] == 500
    assert "without an answer" in caplog.text


async def test_a_header_that_would_split_the_answer_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def splitting(exchange: Exchange) -> None:
        exchange.answer(200, [(b"x", b"a\r\nset-cookie: b")])

    async with serving(splitting) as running:
        assert (await running.ask(GET))[0] == 500


async def test_an_offer_to_upgrade_is_declined_and_the_request_answered_body_and_all() -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(
            post(b"abc", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk") + GET
        )
        assert await wire.answer() == (200, b"POST /echo abc")
        assert await wire.answer() == (200, b"GET / ")


async def test_connect_is_not_served() -> None:
    async with serving(echo) as running:
        assert (await running.ask(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"))[0] == 501


async def test_a_target_in_absolute_form_loses_its_authority() -> None:
    async with serving(echo) as running:
        assert await running.ask(b"GET http://a.b:1/c?d HTTP/1.1\r\nHost: a.b:1\r\n\r\n") == (200, b"GET /c?d ")


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


async def test_a_draining_server_finishes_what_it_has_and_refuses_the_rest() -> None:
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        exchange.start(200, [])
        exchange.write(b"begun ")
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
        assert await busy.answer() == (200, b"begun done")
        async with asyncio.timeout(5):
            await drained


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


@settings(max_examples=50)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8), st.lists(st.integers(1, 400), max_size=20))
def test_any_bodies_cut_anywhere_come_through(bodies: list[bytes], cuts: list[int]) -> None:
    async def run() -> None:
        async with serving(echo) as running:
            wire = await running.wire()
            data = b"".join(map(post, bodies))
            at = 0
            for cut in cuts:
                wire.send(data[at : at + cut])
                await asyncio.sleep(0)
                at += cut
            wire.send(data[at:])
            for body in bodies:
                assert await wire.answer() == (200, b"POST /echo " + body)

    asyncio.run(run())


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered_or_refused_and_nothing_fails(data: bytes) -> None:
    async def run() -> None:
        async with serving(echo, ServerLimits(read_seconds=0.05)) as running:
            wire = await running.wire()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + data + b"\r\n\r\n")
            assert (await wire.head()).startswith(b"http/1.1 ")

    asyncio.run(run())
