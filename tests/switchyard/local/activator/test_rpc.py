"""The gRPC door in front of real gRPC servers that answer with what they got."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest

from switchyard.http.api_errors import ApiError
from switchyard.local.activator.application import Door
from switchyard.local.activator.request_queue import QueueLimits, RequestQueue
from switchyard.local.activator.rpc import GrpcServer
from switchyard.local.plan.workloads import Address
from switchyard.rpc import protobuf as wire
from tests.switchyard.local.overlays import free_port

INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"


class Predictor(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Echoes messages, and the metadata key ``word`` as trailing metadata."""

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == INFER:
            return grpc.unary_unary_rpc_method_handler(self._infer)
        return grpc.stream_stream_rpc_method_handler(self._stream)

    async def _infer(self, request: bytes, context: Any) -> bytes:
        word = dict(context.invocation_metadata()).get("word", "")
        context.set_trailing_metadata((("word", word),))
        if word == "fail":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a bad tensor")
        return request

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request


@pytest.fixture
async def predictor() -> AsyncIterator[Address]:
    server = grpc.aio.server(handlers=(Predictor(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Address(http_port=1, grpc_port=port)
    await server.stop(None)


@pytest.fixture
async def queue() -> RequestQueue:
    return RequestQueue("chat", concurrency=0, limits=QueueLimits(), demand=lambda: None)


@pytest.fixture
async def channel(queue: RequestQueue) -> AsyncIterator[Any]:
    server = GrpcServer({"chat": Door("chat", queue, timeout=5.0)})
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as made:
        yield made
    await server.stop(0)


def message(model: str) -> bytes:
    return wire.write(1, model)


async def test_a_call_waits_for_its_model_and_is_passed_through(
    channel: Any, queue: RequestQueue, predictor: Address
) -> None:
    call = channel.unary_unary(INFER)(message("chat"), metadata=(("word", "hello"),))
    waiting = asyncio.ensure_future(call.code())
    while not queue.waiting:
        await asyncio.sleep(0.005)
    queue.open(predictor)
    assert await waiting == grpc.StatusCode.OK
    assert await call == message("chat")
    assert ("word", "hello") in tuple(await call.trailing_metadata())
    assert (queue.in_flight, queue.responses) == (0, 1)


async def test_a_call_whose_replica_is_gone_is_sent_to_the_next(
    channel: Any, queue: RequestQueue, predictor: Address
) -> None:
    queue.open(Address(http_port=1, grpc_port=free_port()))
    call = channel.unary_unary(INFER)(message("chat"))
    answer = asyncio.ensure_future(call.code())
    await asyncio.wait_for(queue.suspected.wait(), 5)
    queue.open(predictor)
    assert await answer == grpc.StatusCode.OK


async def test_a_model_that_is_not_served_is_not_found(channel: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INFER)(message("nobody"))
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    assert "there are: chat" in (caught.value.details() or "")


async def test_the_predictors_own_error_comes_back_as_it_is(
    channel: Any, queue: RequestQueue, predictor: Address
) -> None:
    queue.open(predictor)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INFER)(message("chat"), metadata=(("word", "fail"),))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "a bad tensor")
    assert queue.in_flight == 0


async def test_a_failed_service_is_unavailable_with_its_reason(channel: Any, queue: RequestQueue) -> None:
    queue.reject(lambda: ApiError("model_failed", "chat: no engine"))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INFER)(message("chat"))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, "chat: no engine")


async def test_a_caller_that_leaves_while_held_leaves_the_queue(channel: Any, queue: RequestQueue) -> None:
    call = channel.unary_unary(INFER)(message("chat"))
    waiting = asyncio.ensure_future(call.code())
    while not queue.waiting:
        await asyncio.sleep(0.005)
    call.cancel()
    assert await waiting == grpc.StatusCode.CANCELLED
    while queue.waiting:
        await asyncio.sleep(0.005)
    assert not queue.busy


async def test_a_stream_holds_its_place_until_it_ends(channel: Any, queue: RequestQueue, predictor: Address) -> None:
    queue.open(predictor)
    call = channel.stream_stream(STREAM)()
    await call.write(message("chat"))
    assert await call.read() == message("chat")
    assert queue.in_flight == 1
    await call.done_writing()
    assert await call.code() == grpc.StatusCode.OK
    assert queue.in_flight == 0
