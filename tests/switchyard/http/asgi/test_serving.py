"""ASGI applications on the server: what they are told, how bodies pass, and how requests end."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from switchyard.http.asgi import Message, Receive, Scope, Send
from switchyard.http.asgi.serving import handler_of
from switchyard.http.h2 import frames
from switchyard.http.server import ServerLimits
from tests.switchyard.http.h2.raw import HOST, Talk
from tests.switchyard.http.serving import GET, HEAD_OF_CHUNKS, post, serving, until

LARGE = 1_000_000


async def whole(send: Send, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def test_the_scope_says_what_was_asked_and_where() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await whole(send, b"")

    async with serving(handler_of(app, root_path="/base")) as running:
        await running.ask(b"GET /%65cho/%2F?q=1%202 HTTP/1.1\r\nHost: x\r\nX-Own: Value\r\n\r\n")
        (scope,) = seen
        assert scope["server"] == (HOST, running.port)
    assert (scope["type"], scope["http_version"], scope["method"], scope["scheme"]) == ("http", "1.1", "GET", "http")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/base", "/base/echo//", b"/base/%65cho/%2F")
    assert (scope["query_string"], scope["client"][0]) == (b"q=1%202", HOST)
    assert scope["headers"] == [(b"host", b"x"), (b"x-own", b"Value")]
    assert {"asgi", "state", "extensions"} <= scope.keys()


async def test_a_whole_response_leaves_with_its_headers_and_a_streams_headers_do_not_wait() -> None:
    go_on = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/whole":
            await whole(send, b"body", (b"Content-Length", b"4"), (b"Connection", b"close"))
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await go_on.wait()
        await send({"type": "http.response.body", "body": b"at last"})

    async with serving(handler_of(app)) as running:
        wire = await running.wire()
        wire.send(b"GET /whole HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await wire.head()
        assert b"content-length: 4" in head
        assert b"connection" not in head
        assert await wire.exactly(4) == b"body"
        wire.send(GET)
        assert b"transfer-encoding: chunked" in await wire.head()
        go_on.set()
        assert await wire.chunk() == b"at last"
        assert await wire.chunk() == b""


@pytest.mark.parametrize("data", [post(bytes(100)), HEAD_OF_CHUNKS + b"64\r\n" + bytes(100) + b"\r\n0\r\n\r\n"])
async def test_a_body_over_the_limit_is_413_whatever_the_application_makes_of_it(data: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] != "http.disconnect":
            assert len(message["body"]) <= 99
        raise RuntimeError("the client disconnected")

    async with serving(handler_of(app, body_bytes=99)) as running:
        assert (await running.ask(data))[0] == 413


async def test_a_body_that_does_not_come_in_time_is_408() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async with serving(handler_of(app), ServerLimits(read_seconds=0.05)) as running:
        assert (await running.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"))[0] == 408


async def test_head_gets_a_response_where_the_application_knows_only_get() -> None:
    async def page(request: Request) -> JSONResponse:
        return JSONResponse({"live": True})

    routes = Starlette(routes=[Route("/", page, methods=["GET"])])
    async with serving(handler_of(routes)) as running:
        wire = await running.wire()
        wire.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
        assert b"content-length: 13\r\n" in await wire.head()
        assert await wire.answer() == (200, b'{"live":true}')


@pytest.mark.parametrize("http2", [False, True])
async def test_a_response_larger_than_the_clients_window_is_complete_and_not_cancelled(http2: bool) -> None:
    ends: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        try:
            yield bytes(LARGE // 2)
            yield bytes(LARGE // 2)
            ends.append("complete")
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(chunks())

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        """As vLLM's: something watches for a disconnect while the response is sent."""
        await receive()
        left = asyncio.ensure_future(receive())
        await whole(send, bytes(LARGE))
        ends.append("cancelled" if left.done() else "complete")
        await left

    routes: Any = Starlette(routes=[Route("/stream", stream)])

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        await (routes if scope["path"] == "/stream" else app)(scope, receive, send)

    async with serving(handler_of(either)) as running:
        url = f"http://{HOST}:{running.port}"
        async with httpx.AsyncClient(base_url=url, http1=not http2, http2=http2, trust_env=False) as client:
            for path in ("/stream", "/whole"):
                assert len((await client.get(path)).content) == LARGE
    assert ends == ["complete", "complete"]


async def test_an_application_hears_of_a_disconnect_at_once_and_is_not_cancelled() -> None:
    heard: list[Message] = []
    over = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        heard.append(await receive())
        await whole(send, b"nobody gets this")
        over.set()

    async with serving(handler_of(app)) as running:
        wire = await running.wire()
        wire.send(post(b"x"))
        await until(lambda: running.server.in_flight)
        await wire.close()
        await until(over.is_set)
        assert heard == [{"type": "http.disconnect"}]
        over.clear()
        fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/")]
        talk = await Talk.to(running.port, fields)
        await until(lambda: running.server.in_flight)
        talk.gives_up(1)
        await until(over.is_set)
        talk.asks(3, fields)
        await until(lambda: running.server.in_flight)
        talk.gives_up(3)
        await until(lambda: running.server.in_flight == 0)
        await talk.disconnects()


async def test_an_application_that_waits_within_a_body_hears_of_the_disconnect() -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while not heard or heard[-1] != "http.disconnect":
            heard.append((await receive())["type"])

    async with serving(handler_of(app)) as running:
        wire = await running.wire()
        wire.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        await until(lambda: heard)
        await wire.close()
        await until(lambda: running.server.in_flight == 0)
        assert heard == ["http.request", "http.disconnect"]


@pytest.mark.parametrize("started", [False, True])
async def test_an_application_that_returns_too_early_fails_its_request(
    started: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if started:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})

    async with serving(handler_of(app)) as running:
        wire = await running.wire()
        wire.send(GET)
        assert (b" 200 " if started else b" 500 ") in await wire.head()
        assert not (await wire.rest()).endswith(b"0\r\n\r\n") if started else True
    assert "before its response was complete" in caplog.text


async def test_frames_of_a_slow_reader_hold_the_application_back() -> None:
    sent = 0

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(100):
            await send({"type": "http.response.body", "body": bytes(16_000), "more_body": True})
            sent += 16_000
        await send({"type": "http.response.body"})

    async with serving(handler_of(app)) as running:
        talk = await Talk.to(
            running.port, [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/")]
        )
        await talk.hears(frames.DATA)
        await until(lambda: sent >= 64_000)
        await asyncio.sleep(0)
        assert sent < 150_000
        await talk.disconnects()
