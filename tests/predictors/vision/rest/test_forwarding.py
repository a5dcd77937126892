"""What Triton is sent of a client's request."""

import asyncio

import pytest

from predictors.vision.rest.forwarding import Forwarding
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import Message, Scope
from switchyard.http.client import Client
from tests.switchyard.http.conftest import Peer, upstream


async def answer_once(peer: Peer) -> None:
    await peer.request()
    await peer.answer()


async def test_a_response_that_ends_before_its_body_begins_is_tritons_absence() -> None:
    async def break_off(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        peer.writer.close()

    scope: Scope = {"type": "http", "method": "POST", "headers": [], "query_string": b""}
    arriving: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not arriving:
            await asyncio.Event().wait()
        return arriving.pop()

    async def send(message: Message) -> None:
        raise AssertionError(message)

    async with upstream(break_off) as triton:
        client = Client()
        forwarding = Forwarding(client, triton.url.removeprefix("http://"), max_body_bytes=100)
        with pytest.raises(ApiError, match="Triton"):
            await forwarding.forward("/v2/models/m/infer", scope, receive, send, "")
        await client.aclose()


async def test_triton_learns_neither_credentials_nor_what_the_platform_tells_itself() -> None:
    headers = [
        *((b"host", b"ours"), (b"authorization", b"Bearer secret"), (b"x-api-key", b"secret"), (b"cookie", b"secret")),
        *((b"x-switchyard-tenant", b"secret"), (b"traceparent", b"theirs"), (b"x-own", b"kept")),
    ]
    scope: Scope = {"type": "http", "method": "POST", "headers": headers, "query_string": b""}
    answered: list[Message] = []
    arriving: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not arriving:
            await asyncio.Event().wait()
        return arriving.pop()

    async def send(message: Message) -> None:
        answered.append(message)

    async with upstream(answer_once) as triton:
        client = Client()
        forwarding = Forwarding(client, triton.url.removeprefix("http://"), max_body_bytes=100)
        await forwarding.forward("/v2/models/m/infer", scope, receive, send, "ours")
        await client.aclose()

    (request,) = triton.peers[0].requests
    assert b"secret" not in request
    assert request.count(b"traceparent: ours") == 1
    assert b"theirs" not in request
    assert b"x-own: kept" in request
    assert answered[0]["status"] == 200
