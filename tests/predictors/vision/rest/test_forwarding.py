"""What Triton is sent of a client's request."""

import asyncio

import pytest

from predictors.vision.rest.forwarding import Forwarding
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import Message, Scope
from switchyard.http.client import Client
from tests.switchyard.http.conftest import Peer, Upstream, upstream


async def answer_once(peer: Peer) -> None:
    await peer.request()
    await peer.answer()


def forwarding_to(triton: Upstream, client: Client, failures: list[str]) -> Forwarding:
    return Forwarding(client, triton.url.removeprefix("http://"), max_body_bytes=100, on_failure=failures.append)


async def receive() -> Message:
    """Wait for a client that neither sends more nor disconnects."""
    await asyncio.Event().wait()
    raise AssertionError


async def never(message: Message) -> None:
    raise AssertionError(message)


SCOPE: Scope = {"type": "http", "method": "POST", "headers": [], "query_string": b""}


async def test_a_response_that_ends_before_its_body_begins_is_tritons_absence() -> None:
    async def break_off(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        peer.writer.close()

    async with upstream(break_off) as triton:
        client = Client()
        forwarding = forwarding_to(triton, client, [])
        with pytest.raises(ApiError, match="Triton"):
            await forwarding.send("/v2/models/m/infer", SCOPE, b"", receive, never, "")
        await client.aclose()


async def test_triton_gets_no_credentials_no_query_and_nothing_that_makes_it_parse_or_unpack_a_body() -> None:
    headers = [
        *((b"host", b"ours"), (b"authorization", b"Bearer secret"), (b"x-api-key", b"secret"), (b"cookie", b"secret")),
        *((b"x-switchyard-tenant", b"secret"), (b"traceparent", b"theirs"), (b"x-own", b"kept")),
        *((b"content-type", b"application/x-www-form-urlencoded"), (b"content-encoding", b"gzip")),
    ]
    scope: Scope = {"type": "http", "method": "POST", "headers": headers, "query_string": b"a=%zz"}
    answered: list[Message] = []

    async def send(message: Message) -> None:
        answered.append(message)

    async with upstream(answer_once) as triton:
        client = Client()
        forwarding = forwarding_to(triton, client, [])
        await forwarding.send("/v2/models/m/infer", scope, b"x", receive, send, "ours")
        await client.aclose()

    (request,) = triton.peers[0].requests
    assert b"secret" not in request
    assert request.count(b"traceparent: ours") == 1
    assert b"theirs" not in request
    assert request.startswith(b"POST /v2/models/m/infer HTTP/1.1\r\n")
    assert b"x-own: kept" in request
    assert b"content-type" not in request
    assert b"content-encoding" not in request
    assert answered[0]["status"] == 200


async def test_the_reason_of_a_failed_request_is_reported_and_forwarded() -> None:
    body = b'{"error":"Stub process \'m_0\' is not healthy."}'

    async def fail(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(b"HTTP/1.1 500 no\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    client, failures = Client(), list[str]()
    async with upstream(fail) as triton:
        with pytest.raises(ApiError, match="Stub process 'm_0' is not healthy") as raised:
            await forwarding_to(triton, client, failures).send("/v2/models/m/infer", SCOPE, b"x", receive, never, "")
        await client.aclose()
    assert failures == ["Stub process 'm_0' is not healthy."]
    assert (raised.value.status, raised.value.code) == (500, "model_error")


async def test_of_a_request_that_triton_rejects_the_client_is_told_more() -> None:
    body = b'{"error":"unexpected inference input \'y\'"}'

    async def reject(peer: Peer) -> None:
        await peer.request()
        peer.writer.write(b"HTTP/1.1 400 no\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    client = Client()
    async with upstream(reject) as triton:
        forwarding = forwarding_to(triton, client, [])
        with pytest.raises(ApiError, match="unexpected inference input 'y', and more") as raised:
            await forwarding.send(
                "/v2/models/m/infer", SCOPE, b"x", receive, never, "", lambda reason: f"{reason}, and more"
            )
        await client.aclose()
    assert (raised.value.status, raised.value.code) == (400, "invalid_value")
