"""A gRPC call that asks gets what it used in its trailers, over gRPC's own server; each call counts for itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from switchyard.http.asgi.usage import counted, usage_in_trailers

ASKS = (("x-switchyard-usage", "1"),)


def count(tokens: int) -> None:
    counts = counted.get()
    if counts is not None:
        counts.completion_tokens += tokens


async def unary(request: bytes, context: Any) -> bytes:
    with usage_in_trailers(context):
        count(len(request))
        await asyncio.sleep(0)
        return request


async def stream(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    try:
        with usage_in_trailers(context):
            async for request in requests:
                await asyncio.create_task(counting(request))
                if request == b"fail":
                    raise ValueError("asked to")
                yield request
    except ValueError as err:
        await context.abort(grpc.StatusCode.INTERNAL, str(err))


async def counting(request: bytes) -> None:
    """As engines do it, in a task of their own."""
    count(len(request))


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]
    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == "/a/Stream":
            return grpc.stream_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(unary)


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Service(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
    await server.stop(0)


async def trailers(call: Any) -> dict[str, str]:
    return dict(await call.trailing_metadata())


async def test_calls_at_once_each_say_what_they_used(channel: grpc.aio.Channel) -> None:
    infer = channel.unary_unary("/a/Infer")
    calls = [infer(b"x" * size, timeout=10, metadata=ASKS) for size in range(1, 9)]
    said = [json.loads((await trailers(call))["x-switchyard-usage"]) for call in calls]
    assert said == [{"completion_tokens": size} for size in range(1, 9)]


async def test_a_stream_says_the_sum_of_its_messages(channel: grpc.aio.Channel) -> None:
    call = channel.stream_stream("/a/Stream")(iter([b"ab", b"cde"]), timeout=10, metadata=ASKS)
    assert [message async for message in call] == [b"ab", b"cde"]
    assert json.loads((await trailers(call))["x-switchyard-usage"]) == {"completion_tokens": 5}


async def test_nothing_is_said_to_who_does_not_ask(channel: grpc.aio.Channel) -> None:
    call = channel.unary_unary("/a/Infer")(b"ab", timeout=10)
    assert await call == b"ab"
    assert await trailers(call) == {}


async def test_a_stream_that_fails_says_what_it_had_used(channel: grpc.aio.Channel) -> None:
    call = channel.stream_stream("/a/Stream")(iter([b"ab", b"fail"]), timeout=10, metadata=ASKS)
    with pytest.raises(grpc.aio.AioRpcError, match="asked to"):
        assert [message async for message in call] == []
    assert json.loads((await trailers(call))["x-switchyard-usage"]) == {"completion_tokens": 6}
