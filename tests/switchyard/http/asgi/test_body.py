"""The forwarding primitive behind a real server: bytes, headers, limits and disconnects."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.asgi.body import body_chunks, peek, read_body
from switchyard.http.asgi.disconnect import cancel_on_disconnect
from switchyard.http.asgi.relay import relay
from switchyard.http.asgi.serving import handler_of
from switchyard.http.client import Client, Timeouts
from switchyard.http.headers import CLIENT_TO_REPLICA, REPLICA_TO_CLIENT
from switchyard.http.request_errors import BodyTooLargeError, BodyTooSlowError, ClientDisconnectedError
from switchyard.http.server import Server, ServerLimits
from tests.switchyard.http.conftest import Peer, Script, upstream
from tests.switchyard.http.serving import Wire, until

TIMEOUTS = Timeouts(first_byte=5, idle=5)


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """The base URL of ``app``, served in this loop."""
    server = Server(handler_of(app))
    try:
        yield f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}"
    finally:
        await server.aclose()


async def pass_on(client: Client, url: str, scope: Scope, send: Send, body: bytes) -> int:
    """The four steps of a proxy between its client's request and the upstream's response."""
    headers = CLIENT_TO_REPLICA.passed(scope["headers"])
    response = await client.request(scope["method"].encode(), url, headers, body, timeouts=TIMEOUTS)
    try:
        await relay(response, send, REPLICA_TO_CLIENT.passed(response.headers))
    finally:
        response.close()
    return response.status


@asynccontextmanager
async def proxy(client: Client, script: Script, limit: int = 1 << 20) -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy in front of ``script``, and how its requests ended."""
    ends: list[str] = []
    async with upstream(script) as server:

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                body = await read_body(receive, scope, limit, seconds=0.5)
                with cancel_on_disconnect(receive):
                    ends.append(str(await pass_on(client, server.url + scope["path"], scope, send, body)))
            except (ClientDisconnectedError, BodyTooLargeError, BodyTooSlowError) as err:
                ends.append(type(err).__name__)
                await send({"type": "http.response.start", "status": 413, "headers": []})
                await send({"type": "http.response.body"})

        async with served(app) as url:
            yield url, ends


async def test_requests_and_responses_pass_without_what_belongs_to_one_hop(client: Client) -> None:
    seen: list[bytes] = []

    async def script(peer: Peer) -> None:
        seen.append(await peer.request())
        head = b"HTTP/1.1 201 Created\r\nx-a: 1\r\nx-a: 2\r\nkeep-alive: timeout=5\r\nserver: other\r\n"
        await peer.send(head + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    async with proxy(client, script) as (url, ends), httpx.AsyncClient() as http:
        headers = {"connection": "close, x-hop", "x-hop": "1", "te": "trailers", "x-kept": "yes"}
        answer = await http.put(url + "/p", content=b"body", headers=headers)
        assert (answer.status_code, answer.content) == (201, b"abcde")
        assert answer.headers.get_list("x-a") == ["1", "2"]
        assert "keep-alive" not in answer.headers
        assert "server" not in answer.headers
    assert seen[0].startswith(b"PUT /p HTTP/1.1\r\n")
    assert seen[0].endswith(b"\r\n\r\nbody")
    assert b"x-kept: yes" in seen[0]
    assert not [name for name in (b"x-hop", b"\r\nte:", b"\r\nconnection:") if name in seen[0]]
    assert ends == ["201"]


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_disconnect_closes_the_upstream_socket(client: Client, streaming: bool) -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        if streaming:
            await peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        arrived.set()
        await peer.closed()
        closed.set()

    async with proxy(client, script) as (url, ends):
        host, port = url.removeprefix("http://").split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi")
        await asyncio.wait_for(arrived.wait(), 5)
        writer.close()
        await asyncio.wait_for(closed.wait(), 5)
        while not ends:
            await asyncio.sleep(0.001)
        assert ends == ["ClientDisconnectedError"]


async def test_a_body_is_bounded_in_size_and_time(client: Client) -> None:
    async def script(peer: Peer) -> None:
        while await peer.request():
            await peer.answer()

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 5

    async with proxy(client, script, limit=10) as (url, ends), httpx.AsyncClient() as http:
        assert (await http.post(url, content=b"x" * 10)).status_code == 200
        assert (await http.post(url, content=b"x" * 11)).status_code == 413
        assert (await http.post(url, content=chunks())).status_code == 413
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhi")
        assert b" 413 " in await reader.readuntil(b"\r\n")
        writer.close()
        assert ends == ["200", "BodyTooLargeError", "BodyTooLargeError", "BodyTooSlowError"]


def arriving(*chunks: bytes, then: Message | None = None) -> Receive:
    """A ``receive`` that returns ``chunks`` of a longer body and then waits, or returns ``then``."""
    messages: list[Message] = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    messages += [then] if then is not None else []

    async def receive() -> Message:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    return receive


async def test_the_chunks_of_a_body_are_bounded_in_time() -> None:
    chunks = body_chunks(arriving(b"a", b"b"), seconds=0.05)
    assert [await anext(chunks), await anext(chunks)] == [b"a", b"b"]
    with pytest.raises(BodyTooSlowError):
        await anext(chunks)


async def test_a_handler_that_takes_the_chunks_slowly_does_not_use_up_the_clients_time() -> None:
    last: Message = {"type": "http.request", "body": b"c", "more_body": False}
    seen = []
    async for chunk in body_chunks(arriving(b"a", b"b", then=last), seconds=0.05):
        await asyncio.sleep(0.06)
        seen.append(chunk)
    assert seen == [b"a", b"b", b"c"]


async def test_the_beginning_of_a_body_can_be_seen_before_all_of_it_is_read() -> None:
    last: Message = {"type": "http.request", "body": b"ef", "more_body": False}
    beginning, receive = await peek(arriving(b"ab", b"cd", then=last), 3)
    assert beginning == b"abcd"
    assert await read_body(receive, {"headers": []}, 10) == b"abcdef"
    beginning, receive = await peek(arriving(then=last), 3)
    assert beginning == b"ef"
    assert [chunk async for chunk in body_chunks(receive)] == [b"ef"]


async def test_a_beginning_that_does_not_come_is_not_waited_for() -> None:
    with pytest.raises(BodyTooSlowError):
        await peek(arriving(b"ab"), 3, seconds=0.05)
    gone: Message = {"type": "http.disconnect"}
    _, receive = await peek(arriving(b"ab", then=gone), 3)
    with pytest.raises(ClientDisconnectedError):
        await read_body(receive, {"headers": []}, 10)


async def test_bodies_that_an_application_reads_whole_count_as_memory_of_the_server() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive, scope, 1_000_000)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % len(body)})

    server = Server(handler_of(app), ServerLimits(body_memory=1_000_000))
    port = await server.listen("127.0.0.1", 0)
    try:
        wires = [Wire(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(3)]
        for held, wire in zip((400_000, 800_000, 800_000), wires, strict=True):
            wire.send(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500000\r\n\r\n" + bytes(400_000))
            await until(lambda expected=held: server.memory.used == expected)
        assert (await wires[2].answer())[0] == 503
        wires[0].send(bytes(100_000))
        assert await wires[0].answer() == (200, b"500000")
        assert server.memory.used == 400_000
        for wire in wires:
            await wire.close()
    finally:
        await server.aclose()
