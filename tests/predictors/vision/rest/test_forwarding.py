"""What Triton is sent of a client's request."""

import asyncio

from predictors.vision.rest.forwarding import Forwarding
from switchyard.http.asgi import Message, Scope
from switchyard.http.client import Client
from tests.switchyard.http.conftest import Peer, upstream


async def answer_once(peer: Peer) -> None:
    await peer.request()
    await peer.answer()


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
