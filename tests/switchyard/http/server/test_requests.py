"""What a server takes and what it rejects, in exact bytes."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from switchyard.http.server import Exchange, ServerLimits
from tests.switchyard.http.serving import GET, HEAD_OF_CHUNKS, echo, post, serving, until


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        for number in range(5):
            wire.send(post(b"%d" % number))
            assert await wire.answer() == (200, b"POST /echo %d" % number)


async def test_names_of_headers_are_in_lower_case_and_repeated_ones_are_kept() -> None:
    seen: list[object] = []

    async def handler(exchange: Exchange) -> None:
        seen.extend((exchange.headers, exchange.fields.get(b"x-one"), exchange.fields.get(b"absent"), exchange.path))
        exchange.respond(204, [])

    async with serving(handler) as running:
        wire = await running.wire()
        wire.send(b"GET /p/q?x HTTP/1.1\r\nHost: x\r\nX-One: A\r\nx-oNe:  b \r\n\r\n")
        assert b" 204 no content\r\n" in await wire.head()
    assert seen == [[(b"host", b"x"), (b"x-one", b"A"), (b"x-one", b"b")], b"b", None, b"/p/q"]


async def test_a_client_that_sends_on_before_its_response_is_not_read() -> None:
    release = asyncio.Event()

    async def hold(exchange: Exchange) -> None:
        await release.wait()
        exchange.respond(200, [])

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
async def test_a_request_that_comes_in_small_chunks_is_read_whole(cut: int) -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        data = post(b"hello") + HEAD_OF_CHUNKS + b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX-Trailer: t\r\n\r\n"
        for start in range(0, len(data), cut):
            wire.send(data[start : start + cut])
            await asyncio.sleep(0)
        assert await wire.answer() == (200, b"POST /echo hello")
        assert await wire.answer() == (200, b"POST / hello")


async def test_a_client_of_http_1_0_gets_its_connection_closed_unless_it_asks_to_keep_it() -> None:
    async def either(exchange: Exchange) -> None:
        if exchange.target == b"/whole":
            exchange.respond(200, [], b"whole")
        else:
            exchange.start(200, [])
            exchange.write(b"chu")
            exchange.write(b"nks")
            exchange.end()

    async with serving(either) as running:
        wire = await running.wire()
        wire.send(b"GET /whole HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = await wire.head()
        assert b"connection: keep-alive" in head
        assert await wire.exactly(5) == b"whole"
        wire.send(b"GET /chunks HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head = await wire.head()
        assert b"connection: close" in head
        assert b"transfer-encoding" not in head
        assert await wire.rest() == b"chunks"
        other = await running.wire()
        other.send(b"GET /whole HTTP/1.0\r\n\r\n")
        assert b"connection: close" in await other.head()
        assert await other.rest() == b"whole"


async def test_connection_close_is_honored_and_said() -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(post(b"bye", b"Connection: close"))
        assert b"connection: close" in await wire.head()
        assert await wire.rest() == b"POST /echo bye"


async def test_a_client_that_expects_100_continue_is_told_to_go_on_only_when_its_body_is_wanted() -> None:
    async def picky(exchange: Exchange) -> None:
        if exchange.target == b"/reject":
            exchange.respond(403, [], b"no")
        else:
            await echo(exchange)

    async with serving(picky) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert await wire.head() == b"http/1.1 100 continue\r\n\r\n"
        wire.send(b"body")
        assert await wire.answer() == (200, b"POST / body")
        wire.send(b"POST /reject HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
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
        exchange.respond(200, [], await exchange.body(10))

    async with serving(small) as running:
        status, body = await running.ask(data)
        assert status == 413
        assert b"exceeds 10 bytes" in body


async def test_a_rejected_upload_is_told_so_although_it_is_still_being_sent() -> None:
    async def small(exchange: Exchange) -> None:
        exchange.respond(200, [], await exchange.body(10))

    async with serving(small) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n" + b"x" * 4_000_000)
        assert (await wire.answer())[0] == 413
        assert await wire.rest() == b""


BAD = {
    "garbage": b"hello\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "two framings": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two framings, the other way": HEAD_OF_CHUNKS[:-2] + b"Content-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a signed length": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    "chunks not last": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "a host that is a path": b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a target with a fragment": b"GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target of another scheme": b"GET gopher://a/b HTTP/1.1\r\nHost: x\r\n\r\n",
    "a target that is no path": b"GET *.x/y HTTP/1.1\r\nHost: x\r\n\r\n",
    "a star without options": b"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
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


async def test_a_bad_request_behind_a_good_one_is_rejected_after_its_response() -> None:
    async def slow(exchange: Exchange) -> None:
        await asyncio.sleep(0.01)
        exchange.respond(200, [], b"good")

    async with serving(slow) as running:
        wire = await running.wire()
        wire.send(GET + b"hello\r\n\r\n")
        assert await wire.answer() == (200, b"good")
        assert (await wire.answer())[0] == 400
        assert await wire.rest() == b""


@pytest.mark.parametrize("chunks", [1, 50])
async def test_a_head_over_the_limit_is_431(chunks: int) -> None:
    async with serving(echo, ServerLimits(header_bytes=1000)) as running:
        wire = await running.wire()
        data = b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"x" * 5000 + b"\r\n\r\n"
        size = len(data) // chunks
        for start in range(0, len(data), size):
            wire.send(data[start : start + size])
            await asyncio.sleep(0)
        assert (await wire.answer())[0] == 431


ENDLESS = {
    "one trailer": HEAD_OF_CHUNKS + b"3\r\nabc\r\n0\r\nT: " + b"t" * 300_000,
    "many trailers": HEAD_OF_CHUNKS + b"3\r\nabc\r\n0\r\n" + b"T: t\r\n" * 50_000,
    "a chunk extension": HEAD_OF_CHUNKS + b"3;" + b"e" * 300_000,
    "chunks of two bytes": HEAD_OF_CHUNKS + b"2\r\nab\r\n" * 50_000,
    "a chunk size": HEAD_OF_CHUNKS + b"0" * 300_000,
}


@pytest.mark.parametrize("data", ENDLESS.values(), ids=ENDLESS.keys())
async def test_framing_without_an_end_is_rejected(data: bytes) -> None:
    async with serving(echo, ServerLimits(header_bytes=1000)) as running:
        wire = await running.wire()
        for at in range(0, len(data), 8192):
            wire.send(data[at : at + 8192])
            await asyncio.sleep(0)
        assert (await wire.answer())[0] == 400


async def test_empty_lines_without_an_end_are_rejected() -> None:
    async with serving(echo, ServerLimits(header_bytes=1000)) as running:
        wire = await running.wire()
        for _ in range(20):
            wire.send(b"\r\n" * 100)
            await asyncio.sleep(0)
        assert (await wire.answer())[0] == 431


async def test_a_large_body_leaves_the_connection_fit_for_the_next_request() -> None:
    async with serving(echo, ServerLimits(header_bytes=1000)) as running:
        wire = await running.wire()
        for _ in range(2):
            wire.send(post(b"x" * 300_000))
            assert (await wire.answer())[0] == 200
            wire.send(b"\r\n")


async def test_small_chunks_are_taken_and_joined() -> None:
    async with serving(echo, ServerLimits(header_bytes=1000)) as running:
        status, body = await running.ask(HEAD_OF_CHUNKS + b"8\r\nabcdefgh\r\n" * 20_000 + b"0\r\n\r\n")
        assert (status, body) == (200, b"POST / " + b"abcdefgh" * 20_000)


async def test_more_headers_than_the_limit_are_431() -> None:
    async with serving(echo, ServerLimits(header_count=10)) as running:
        assert (await running.ask(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10 + b"\r\n"))[0] == 431


async def test_a_head_within_the_limit_may_come_with_a_large_body() -> None:
    async with serving(echo, ServerLimits(header_bytes=200)) as running:
        assert (await running.ask(post(b"x" * 5000)))[0] == 200


async def test_an_offer_to_upgrade_is_declined_and_the_request_answered_body_and_all() -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(
            post(b"abc", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABk") + GET
        )
        assert await wire.answer() == (200, b"POST /echo abc")
        assert await wire.answer() == (200, b"GET / ")


@pytest.mark.parametrize(
    "last", ["HTTP/1.0", "HTTP/1.1\r\nConnection: close", "HTTP/1.0\r\nConnection: keep-alive, close"]
)
async def test_a_declined_offer_changes_nothing_about_the_connection(last: str) -> None:
    offer = f"GET / {last}\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".encode()
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(offer + GET)
        assert b"connection: close" in await wire.head()
        assert b"HTTP/1.1" not in await wire.rest()


NOT_SERVED = {
    "connect": (501, b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n"),
    "a method of another protocol": (501, b"PLAY rtsp://x/ RTSP/1.0\r\nHost: x\r\n\r\n"),
    "another transfer coding": (501, HEAD_OF_CHUNKS.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n"),
    "chunks in name only": (400, HEAD_OF_CHUNKS.replace(b"chunked", b"xchunked") + b"0\r\n\r\n"),
    "chunks in HTTP/1.0": (400, HEAD_OF_CHUNKS.replace(b"1.1", b"1.0") + b"0\r\n\r\n"),
    "a later version": (505, b"GET / HTTP/2.0\r\nHost: x\r\n\r\n"),
    "an earlier version": (505, b"GET / HTTP/0.9\r\nHost: x\r\n\r\n"),
}


@pytest.mark.parametrize(("status", "data"), NOT_SERVED.values(), ids=NOT_SERVED.keys())
async def test_what_http_has_and_this_server_has_not_is_said_and_ends_the_connection(status: int, data: bytes) -> None:
    async with serving(echo) as running:
        wire = await running.wire()
        wire.send(data + GET)
        assert (await wire.answer())[0] == status
        assert await wire.rest() == b""


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://a.b:1/c?d", b"/c?d", b"a.b:1"),
        (b"HTTPS://a.b", b"/", b"a.b"),
        (b"http://a.b?d", b"/?d", b"a.b"),
    ],
)
async def test_a_target_in_absolute_form_names_the_host(target: bytes, path: bytes, host: bytes) -> None:
    async def tell(exchange: Exchange) -> None:
        exchange.respond(200, [], exchange.target + b" " + (exchange.fields.get(b"host") or b""))

    async with serving(tell) as running:
        assert await running.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target) == (200, path + b" " + host)


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
def test_any_bytes_get_a_response_or_are_rejected_and_nothing_fails(data: bytes) -> None:
    async def run() -> None:
        async with serving(echo, ServerLimits(read_seconds=0.05)) as running:
            wire = await running.wire()
            wire.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + data + b"\r\n\r\n")
            assert (await wire.head()).startswith(b"http/1.1 ")

    asyncio.run(run())
