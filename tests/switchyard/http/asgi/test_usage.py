"""A request that asks gets what it used: in a header of a whole response, in a comment before a stream's last event."""

from typing import Any

import pytest

from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.asgi.usage import UsageReport, counted

ASKS = [(b"x-switchyard-usage", b"1")]
COUNTS = b'{"completion_tokens":2,"prompt_tokens":3}'
COMMENT = b": usage " + COUNTS + b"\n\n"
TWO = b"data: {}\n\n" * 2  # an event for each token
Chunks = tuple[bytes, ...]


def application(kind: bytes, *chunks: bytes) -> App:
    """Counts tokens, and responds with ``chunks``; the last is sent as the end."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        counts = counted.get()
        if counts is not None:
            counts.prompt_tokens += 3
            counts.completion_tokens += 2
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Type", kind)]})
        for chunk in chunks[:-1]:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": chunks[-1]})

    return run


async def sent(app: App, headers: list[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], Chunks]:
    messages: list[Message] = []

    async def receive() -> Any:
        raise AssertionError("the body is not read")

    async def send(message: Message) -> None:
        messages.append(message)

    counted.set(None)  # pytest runs tests of a loop in one context, the server each request in its own
    await UsageReport(app)({"type": "http", "headers": headers}, receive, send)
    return dict(messages[0]["headers"]), tuple(message["body"] for message in messages[1:])


async def test_a_whole_response_says_it_in_a_header() -> None:
    headers, chunks = await sent(application(b"application/json", b"{}"), ASKS)
    assert headers[b"x-switchyard-usage"] == COUNTS
    assert chunks == (b"{}",)


@pytest.mark.parametrize(
    "last", [b"data: [DONE]\n\n", b"event: message_stop\ndata: {}\n\n", b"event: response.completed\ndata: {}\n\n"]
)
async def test_a_stream_says_it_before_the_event_after_which_clients_read_no_further(last: bytes) -> None:
    headers, chunks = await sent(application(b"text/event-stream; charset=utf-8", TWO, last, b""), ASKS)
    assert b"x-switchyard-usage" not in headers
    assert chunks == (TWO, COMMENT + last, b"")


async def test_a_stream_without_such_an_event_says_it_at_its_end() -> None:
    _, chunks = await sent(application(b"text/event-stream", TWO, b"data: 2\n\n"), ASKS)
    assert chunks == (TWO, b"data: 2\n\n" + COMMENT)


@pytest.mark.parametrize("kind", [b"application/json", b"text/event-stream"])
async def test_who_does_not_ask_gets_the_response_as_it_is(kind: bytes) -> None:
    headers, chunks = await sent(application(kind, b"data: 1\n\n", b"data: [DONE]\n\n", b""), [])
    assert headers == {b"Content-Type": kind}
    assert chunks == (b"data: 1\n\n", b"data: [DONE]\n\n", b"")


async def test_a_stream_says_so_far_what_has_no_events_of_its_own() -> None:
    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        counts = counted.get()
        assert counts is not None
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        for tokens in (1, 500, 1, 1):  # 500 of them were hidden
            counts.completion_tokens += tokens
            await send({"type": "http.response.body", "body": b"data: {}\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})

    _, chunks = await sent(run, ASKS)
    event = b"data: {}\n\n"
    so_far, last = (b': usage {"completion_tokens":%d}\n\n' % count for count in (501, 503))
    assert chunks == (event, event + so_far, event, event, last + b"data: [DONE]\n\n")
