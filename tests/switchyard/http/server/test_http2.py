"""An application on the server, asked by httpx's HTTP/2 and raw frames."""

import asyncio
import itertools
import time

import httpx
import pytest

from switchyard.http.h2 import frame_reader, frames
from switchyard.http.h2.connection import STREAM_WINDOW
from switchyard.http.server import Exchange, ServerLimits
from switchyard.http.server.http2_exchange import UNSENT_BYTES
from tests.switchyard.http.h2.raw import DEADLINE, GREETING, HOST, Talk, converse, heard, request_bytes
from tests.switchyard.http.server.http2_serving import CHUNK, GET, POST, world
from tests.switchyard.http.serving import serving, until


async def test_a_request_reaches_the_application_as_it_was_sent_and_its_response_comes_back() -> None:
    async with world() as at:
        answer = await at.client.post("/%65cho?q=1%202", content=b"a body", headers={"X-Own": "value"})

        assert (answer.http_version, answer.status_code, answer.content) == ("HTTP/2", 200, b"a body")
        assert answer.headers["date"].endswith(" GMT")
        assert "connection" not in answer.headers
        (scope,) = at.app.scopes
        assert (scope["method"], scope["path"], scope["raw_path"]) == ("POST", "/echo", b"/%65cho")
        assert (scope["query_string"], scope["http_version"], scope["client"][0]) == (b"q=1%202", "2", HOST)
        headers = dict(scope["headers"])
        assert (headers[b"host"], headers[b"x-own"]) == (f"{HOST}:{at.port}".encode(), b"value")


async def test_cookies_that_come_apart_reach_the_application_together() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, [*GET, (b"cookie", b"a=1"), (b"x-own", b"v"), (b"cookie", b"b=2")])
        await talk.hears(frames.HEADERS)
        assert [value for name, value in at.app.scopes[0]["headers"] if name == b"cookie"] == [b"a=1; b=2"]
        await talk.disconnects()


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 + 1, STREAM_WINDOW + 1, 12_000_000])
async def test_bodies_of_every_size_pass_both_ways(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with world() as at:
        for _ in range(2):  # the windows must have been given back
            assert (await at.client.post("/echo", content=body)).content == body


async def test_requests_side_by_side_share_one_connection() -> None:
    async with world() as at:
        bodies = [b"%d" % number * 5000 for number in range(100)]
        answers = await asyncio.gather(*(at.client.post("/echo", content=body) for body in bodies))

        assert [answer.content for answer in answers] == bodies
        assert len(at.connections) == 1


async def test_chunks_of_a_response_are_sent_as_they_are_made() -> None:
    async with world() as at, at.client.stream("GET", "/chunks") as answer:
        chunks = answer.aiter_raw()
        assert await anext(chunks) == b"one "
        at.app.go_on.set()
        assert await anext(chunks) == b"two"


async def test_the_headers_of_a_response_do_not_wait_for_its_first_chunk() -> None:
    async with world() as at, at.client.stream("GET", "/begins") as answer:
        assert answer.status_code == 200
        at.app.go_on.set()
        assert await answer.aread() == b"at last"


async def test_an_application_waits_for_a_client_that_reads_slowly_and_hears_when_it_has_left() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, GET, path=b"/endless")
        await talk.hears(frames.DATA)  # as much as the stream's window lets pass, which this client never widens
        talk.widens(100_000)
        talk.asks(3, POST, b"another")
        await talk.hears(frames.DATA, stream=3)
        assert at.app.sent <= frames.DEFAULT_WINDOW + UNSENT_BYTES + len(CHUNK)
        talk.gives_up(1)
        async with asyncio.timeout(DEADLINE):
            await at.app.left.wait()
        talk.asks(5, POST, b"others go on")
        assert (await talk.hears(frames.DATA, stream=5)) == b"others go on"
        await talk.disconnects()


async def test_an_application_hears_that_the_connection_has_gone() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, GET, path=b"/endless")
        await talk.hears(frames.DATA)
        await talk.disconnects()
        async with asyncio.timeout(DEADLINE):
            await at.app.left.wait()


async def test_an_error_of_the_application_is_an_opaque_500(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as at:
        answer = await at.client.get("/fails")

        assert (answer.status_code, answer.json()["error"]["message"]) == (500, "internal error")
        assert "a secret of the application" in caplog.text


async def test_a_response_that_breaks_off_does_not_look_complete(caplog: pytest.LogCaptureFixture) -> None:
    async with world() as at:
        with pytest.raises(httpx.RemoteProtocolError):
            await at.client.get("/breaks")

        assert (await at.client.post("/echo", content=b"others go on")).content == b"others go on"
        assert "before its response was complete" in caplog.text


async def test_head_gets_a_response_without_a_body() -> None:
    async with world() as at:
        answer = await at.client.head("/early")

        assert (answer.status_code, answer.content) == (200, b"")


async def test_a_client_that_waits_for_leave_to_send_gets_it() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, [*POST, (b"expect", b"100-continue"), (b"content-length", b"4")], ends=False)
        assert b"\x03100" in await talk.hears(frames.HEADERS)
        talk.sends(1, b"body")
        assert await talk.hears(frames.DATA) == b"body"
        await talk.disconnects()


async def test_a_request_with_a_response_before_its_end_is_told_to_stop() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, POST, path=b"/early", ends=False)
        assert await talk.hears(frames.DATA) == b"no need"
        assert await talk.hears(frames.RST_STREAM) == frames.uint32(frames.NO_ERROR)
        await talk.disconnects()


async def test_a_client_that_still_sends_its_request_gets_the_early_response() -> None:
    async with world() as at:  # more than a window, so that httpx reads frames, and would meet a reset, as it sends
        response = await at.client.post("/early", content=bytes(4 * 1024 * 1024))
        assert (response.status_code, response.text) == (200, "no need")
        assert all(not connection.streams for connection in at.connections)


async def test_a_request_that_never_ends_is_told_to_stop_after_its_early_response() -> None:
    async with world(ServerLimits(linger_seconds=0.05)) as at:
        talk = await Talk.to(at.port, POST, path=b"/early", ends=False)
        assert await talk.hears(frames.DATA) == b"no need"
        talk.sends(1, bytes(1000), ends=False)
        assert await talk.hears(frames.RST_STREAM) == frames.uint32(frames.NO_ERROR)
        await talk.disconnects()


MALFORMED = {
    "no method": request_bytes(GET[1:]),
    "no path": request_bytes(GET[:-1]),
    "a scheme that nobody serves": request_bytes([GET[0], (b":scheme", b"javascript"), *GET[2:]]),
    "an absolute path": request_bytes([*GET[:-1], (b":path", b"http://elsewhere/")]),
    "an unknown pseudo-header": request_bytes([*GET, (b":protocol", b"websocket")]),
    "a method twice": request_bytes([*GET, GET[0]]),
    "a pseudo-header that comes late": request_bytes([GET[0], (b"early", b"1"), *GET[1:]]),
    "a name in upper case": request_bytes([*GET, (b"Upper", b"1")]),
    "a name with a space": request_bytes([*GET, (b"a b", b"1")]),
    "a value of two lines": request_bytes([*GET, (b"split", b"1\r\nx-other: 2")]),
    "a path of two lines": request_bytes([*GET[:-1], (b":path", b"/a\r\nx: y")]),
    "a connection header": request_bytes([*GET, (b"connection", b"close")]),
    "a transfer encoding": request_bytes([*GET, (b"transfer-encoding", b"chunked")]),
    "a te": request_bytes([*GET, (b"te", b"gzip")]),
    "two lengths": request_bytes([*POST, (b"content-length", b"1"), (b"content-length", b"2")], b"1"),
    "a negative length": request_bytes([*POST, (b"content-length", b"-1")], b"1"),
    "less than its length": request_bytes([*POST, (b"content-length", b"3")], b"12"),
    "more than its length": request_bytes([*POST, (b"content-length", b"3")], b"12", b"34"),
    "no body but a length": request_bytes([*POST, (b"content-length", b"3")]),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_a_request_that_could_be_read_in_two_ways_reaches_nobody(sent: bytes) -> None:
    async with world() as at:
        answer = await converse(at.port, GREETING + sent, until=frames.RST_STREAM)

        assert heard(answer)[-1] == (frames.RST_STREAM, 1, frames.uint32(frames.PROTOCOL_ERROR))
        assert frames.HEADERS not in [kind for kind, _, _ in heard(answer)]


async def test_a_connection_that_drains_ends_what_it_has_begun_and_takes_no_more() -> None:
    async with world() as at:
        talk = await Talk.to(at.port, GET, path=b"/waits")
        async with asyncio.timeout(DEADLINE):
            await at.app.entered.wait()
        at.connections[0].drain()
        assert await talk.hears(frames.GOAWAY, stream=0) == frames.uint32(1) + frames.uint32(frames.NO_ERROR)
        talk.asks(3, GET)
        assert await talk.hears(frames.RST_STREAM, stream=3) == frames.uint32(frames.REFUSED_STREAM)
        at.app.go_on.set()
        assert await talk.hears(frames.DATA) == b"after all"
        async with asyncio.timeout(DEADLINE):
            await at.connections[0].closed.wait()
        await talk.disconnects()


async def test_work_that_outlives_its_stream_counts_until_it_ends() -> None:
    async with world(ServerLimits(streams=3)) as at:
        talk = await Talk.to(at.port, GET, path=b"/waits")
        for number in (3, 5):
            talk.asks(number, [*GET[:-1], (b":path", b"/waits")])
        await until(lambda: len(at.app.scopes) == 3)
        for number in (1, 3, 5):
            talk.gives_up(number)
        talk.asks(7, GET)
        assert await talk.hears(frames.RST_STREAM, stream=7) == frames.uint32(frames.REFUSED_STREAM)
        at.app.go_on.set()
        await until(lambda: at.server.in_flight == 0)
        talk.asks(9, POST, b"others go on")
        assert await talk.hears(frames.DATA, stream=9) == b"others go on"
        await talk.disconnects()


async def test_a_request_with_too_many_headers_hears_so_and_starts_nothing() -> None:
    async with world(ServerLimits(header_count=10)) as at:
        response = await at.client.get("/echo", headers={f"x-{number}": "y" for number in range(11)})
        assert response.status_code == 431
        assert "more than 10 headers" in response.text
        assert not at.app.scopes


async def test_a_client_that_makes_its_streams_be_reset_spends_as_one_that_resets_them() -> None:
    async with world(ServerLimits(control_frames=50, control_frames_per_second=0)) as at:
        too_wide = [frames.uint32_frame(frames.WINDOW_UPDATE, number, frames.MAX_WINDOW) for number in range(1, 21, 2)]
        asked = [request_bytes(POST, number=number, ends=False) for number in range(1, 21, 2)]
        told = await converse(at.port, GREETING + b"".join(map(bytes.__add__, asked, too_wide)))
        kind, _, payload = heard(told)[-1]
        assert (kind, payload[4:8]) == (frames.GOAWAY, frames.uint32(frames.ENHANCE_YOUR_CALM))


async def test_handlers_of_a_lost_connection_end_in_several_turns_of_the_loop() -> None:
    async def wait(exchange: Exchange) -> None:
        await asyncio.Event().wait()

    async with serving(wait) as running:
        talk = await Talk.to(running.port, GET)
        for number in range(3, 401, 2):
            talk.asks(number, GET)
        await until(lambda: running.server.in_flight == 200)
        await talk.disconnects()
        seen = [200]
        async with asyncio.timeout(DEADLINE):
            while seen[-1]:
                await asyncio.sleep(0)
                seen.append(running.server.in_flight)
        assert max(before - after for before, after in itertools.pairwise(seen)) <= 64


async def test_frames_that_wait_for_their_turn_are_not_taken_for_a_slow_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_reader, "TURN_SECONDS", -1.0)  # a request in each turn

    async def respond(exchange: Exchange) -> None:
        time.sleep(0.005)  # noqa: ASYNC251 - a handler that keeps the loop
        exchange.respond(200, [])

    async with serving(respond, ServerLimits(header_seconds=0.1)) as running:
        talk = await Talk.to(running.port, GET)
        for number in range(3, 201, 2):
            talk.asks(number, GET)
        assert await talk.hears(frames.HEADERS, stream=199)
        await talk.disconnects()
