"""The gRPC endpoints in front of real gRPC servers that answer with what they got."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest

from switchyard.http.api_errors import ApiError
from switchyard.http.client import Client
from switchyard.http.h2 import frames
from switchyard.http.server import Server
from switchyard.local.activator.application import ATTEMPTS, Activator, Endpoint
from switchyard.local.activator.request_queue import QueueLimits, RequestQueue
from switchyard.local.activator.rpc import RpcActivator
from switchyard.local.plan.workloads import Address
from switchyard.rpc import health, v2
from switchyard.rpc import protobuf as wire
from switchyard.telemetry.tracing import DisabledTracer
from tests.ports import free_port

INFER = v2.path("ModelInfer")
STREAM = v2.path("ModelStreamInfer")
HOST = "127.0.0.1"
DEADLINE = 20
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.use_local_subchannel_pool", 1),
]


class Predictor(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Echoes messages, and the metadata key ``word`` as trailing metadata."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.go_on = asyncio.Event()

    def service(self, handler_call_details: Any) -> Any:
        self.seen.append(dict(handler_call_details.invocation_metadata))
        if handler_call_details.method == STREAM:
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._infer)

    async def _infer(self, request: bytes, context: Any) -> bytes:
        word = dict(context.invocation_metadata()).get("word", "")
        context.set_trailing_metadata((("word", word),))
        if word == "fail":
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a bad tensor")
        if word == "wait":
            await self.go_on.wait()
        return request

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request


@pytest.fixture
async def predictor() -> AsyncIterator[Predictor]:
    made = Predictor()
    yield made
    made.go_on.set()


@pytest.fixture
async def replica(predictor: Predictor) -> AsyncIterator[Address]:
    server = grpc.aio.server(handlers=(predictor,), options=OPTIONS)
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    yield Address(http_port=port)
    await server.stop(None)


@pytest.fixture
async def queue() -> RequestQueue:
    return RequestQueue("chat", concurrency=0, limits=QueueLimits(), demand=lambda: None)


class Served:
    """One service on its own port, and another that takes no gRPC."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoints: dict[int, Endpoint] = {}
        self._rpc: dict[int, Endpoint] = {}
        self._endpoint = endpoint

    async def start(self) -> None:
        self._client = Client()
        tracer = DisabledTracer()
        handler = Activator(self._endpoints, self._client, tracer).handle
        self.server = Server(handler, rpc=RpcActivator(self._rpc, tracer).handle)
        self.port = await self.server.listen(HOST, 0)
        self.other = await self.server.listen(HOST, 0)
        self._endpoints |= {self.port: self._endpoint, self.other: self._endpoint}
        self._rpc[self.port] = self._endpoint

    async def stop(self) -> None:
        await self.server.aclose()
        await self._client.aclose()


@pytest.fixture
async def served(queue: RequestQueue) -> AsyncIterator[Served]:
    made = Served(Endpoint("chat", queue, timeout=5.0))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def channel(served: Served) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"{HOST}:{served.port}", options=OPTIONS) as made:
        yield made


def message(model: str, size: int = 0) -> bytes:
    return wire.write(1, model) + (wire.write(7, bytes(size)) if size else b"")


async def until_waiting(queue: RequestQueue, count: int = 1) -> None:
    async with asyncio.timeout(DEADLINE):
        while queue.waiting != count:
            await asyncio.sleep(0)


async def test_a_call_waits_for_its_model_and_is_passed_through(
    channel: Any, queue: RequestQueue, replica: Address, predictor: Predictor
) -> None:
    call = channel.unary_unary(INFER)(
        message("chat"), metadata=(("word", "hello"), ("authorization", "Bearer it"), ("cookie", "a=b"))
    )
    waiting = asyncio.ensure_future(call.code())
    await until_waiting(queue)
    queue.open(replica)
    assert await waiting == grpc.StatusCode.OK
    assert await call == message("chat")
    assert ("word", "hello") in tuple(await call.trailing_metadata())
    assert (queue.in_flight, queue.responses) == (0, 1)
    (seen,) = predictor.seen  # as Knative's proxies, this one keeps nothing back
    assert (seen["authorization"], seen["cookie"]) == ("Bearer it", "a=b")


@pytest.mark.parametrize("size", [0, 3_000_000])
async def test_a_call_whose_replica_is_gone_is_sent_to_the_next(
    channel: Any, queue: RequestQueue, replica: Address, size: int
) -> None:
    queue.open(Address(http_port=free_port()))
    call = channel.unary_unary(INFER)(message("chat", size))
    answer = asyncio.ensure_future(call.code())
    await asyncio.wait_for(queue.suspected.wait(), DEADLINE)
    queue.open(replica)
    assert await answer == grpc.StatusCode.OK
    assert await call == message("chat", size)
    assert (queue.in_flight, queue.responses) == (0, 1)


@pytest.mark.parametrize("size", [0, 3_000_000])
async def test_a_call_whose_replica_dies_while_it_works_is_sent_to_the_next(
    channel: Any, queue: RequestQueue, replica: Address, size: int
) -> None:
    taken = asyncio.Event()

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.settings({}))
        seen = b""
        while message("chat") not in seen or len(seen) < min(size, frames.DEFAULT_WINDOW):
            seen += await reader.read(65536)
        taken.set()
        writer.transport.abort()

    dying = await asyncio.start_server(die, HOST, 0)
    queue.open(Address(http_port=dying.sockets[0].getsockname()[1]))
    call = channel.unary_unary(INFER)(message("chat", size))
    answer = asyncio.ensure_future(call.code())
    await asyncio.wait_for(queue.suspected.wait(), DEADLINE)
    assert taken.is_set()
    queue.open(replica)
    assert await answer == grpc.StatusCode.OK
    assert await call == message("chat", size)
    dying.close()


async def test_a_call_that_ends_every_replica_is_given_up(channel: Any, queue: RequestQueue) -> None:
    call = channel.unary_unary(INFER)(message("chat"))
    answer = asyncio.ensure_future(call.code())
    for _ in range(ATTEMPTS):
        await until_waiting(queue)
        queue.open(Address(http_port=free_port()))
        await asyncio.wait_for(queue.suspected.wait(), DEADLINE)
    assert await answer == grpc.StatusCode.UNAVAILABLE
    assert "ended 3 times" in (await call.details() or "")
    assert not queue.busy


async def test_a_replica_that_dies_before_its_body_begins_is_told_of(served: Served, queue: RequestQueue) -> None:
    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(die, HOST, 0) as dying, httpx.AsyncClient() as client:
        queue.open(Address(http_port=dying.sockets[0].getsockname()[1]))
        response = await client.post(f"http://{HOST}:{served.port}/v1/completions", json={})
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_closed")


async def test_a_service_without_grpc_says_so(served: Served) -> None:
    async with grpc.aio.insecure_channel(f"{HOST}:{served.other}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(INFER)(message("chat"))
    assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert "takes no gRPC" in (caught.value.details() or "")


async def test_the_predictors_own_error_comes_back_as_it_is(
    channel: Any, queue: RequestQueue, replica: Address
) -> None:
    queue.open(replica)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INFER)(message("chat"), metadata=(("word", "fail"),))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "a bad tensor")
    assert (queue.in_flight, queue.responses) == (0, 1)  # of a replica that works, as an HTTP response of any status


async def test_a_failed_service_is_unavailable_with_its_reason(channel: Any, queue: RequestQueue) -> None:
    queue.reject(lambda: ApiError("model_not_ready", "chat: no engine", retry_after=7))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INFER)(message("chat"))
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, "chat: no engine")
    assert ("retry-after", "7") in tuple(caught.value.trailing_metadata())


async def test_a_caller_that_disconnects_while_held_leaves_the_queue(channel: Any, queue: RequestQueue) -> None:
    call = channel.unary_unary(INFER)(message("chat"))
    waiting = asyncio.ensure_future(call.code())
    await until_waiting(queue)
    call.cancel()
    assert await waiting == grpc.StatusCode.CANCELLED
    await until_waiting(queue, 0)
    assert not queue.busy


async def test_a_call_whose_deadline_passes_leaves_the_queue(channel: Any, queue: RequestQueue) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(INFER)(message("chat"), timeout=0.1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await until_waiting(queue, 0)
    assert not queue.busy


async def test_a_call_that_no_replica_takes_in_time_is_told_so(queue: RequestQueue) -> None:
    served = Served(Endpoint("chat", queue, timeout=0.1))
    await served.start()
    async with grpc.aio.insecure_channel(f"{HOST}:{served.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(INFER)(message("chat"))
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await served.stop()


async def test_a_replica_that_does_not_respond_in_time_is_given_up(queue: RequestQueue, replica: Address) -> None:
    served = Served(Endpoint("chat", queue, timeout=0.2))
    await served.start()
    queue.open(replica)
    async with grpc.aio.insecure_channel(f"{HOST}:{served.port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(INFER)(message("chat"), metadata=(("word", "wait"),))
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "chat did not respond within 0.2 s" in (caught.value.details() or "")
    assert queue.in_flight == 0
    await served.stop()


async def test_a_stream_holds_its_place_until_it_ends(channel: Any, queue: RequestQueue, replica: Address) -> None:
    queue.open(replica)
    call = channel.stream_stream(STREAM)()
    await call.write(message("chat"))
    assert await call.read() == message("chat")
    assert queue.in_flight == 1
    await call.done_writing()
    assert await call.code() == grpc.StatusCode.OK
    async with asyncio.timeout(DEADLINE):
        while queue.in_flight:
            await asyncio.sleep(0)


@pytest.mark.parametrize("path", [v2.path("ServerReady"), v2.path("ModelReady"), health.CHECK])
async def test_a_probe_neither_wakes_a_model_nor_keeps_it_awake(
    channel: Any, queue: RequestQueue, replica: Address, path: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await channel.unary_unary(path)(b"")
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    queue.open(replica)
    used = queue.last_used
    assert await channel.unary_unary(path)(b"") == b""
    assert (queue.last_used, queue.responses, queue.waiting) == (used, 0, 0)
