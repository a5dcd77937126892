import asyncio
import os
import socket
from typing import Any

import grpc
import grpc.aio
import pytest

from switchyard.http.h2 import frames
from switchyard.http.h2.grpc_call import forward_to
from switchyard.rpc.status import RpcStatus
from tests.switchyard.http.h2.conftest import HOST, OPTIONS, ByTask, Routing, channel, serve, stop, world
from tests.switchyard.http.h2.raw import converse, goodbye
from tests.switchyard.http.server import http2_serving

DEADLINE = 20


@pytest.fixture(params=[Routing, ByTask], ids=["at once", "by a task"])
def way(request: pytest.FixtureRequest) -> type[Routing]:
    made: type[Routing] = request.param
    return made


async def ask(opened: Any, path: str, message: bytes, **options: Any) -> bytes:
    answer: bytes = await opened.unary_unary(path)(message, timeout=DEADLINE, **options)
    return answer


async def test_a_call_goes_straight_to_the_engine_with_its_metadata_and_comes_back_with_the_engines(
    way: type[Routing],
) -> None:
    async with world(way) as at, channel(at) as opened:
        call = opened.unary_unary("/engine/Echo")(
            b"tensor",
            timeout=DEADLINE,
            metadata=(("x-request-id", "7"), ("authorization", "Bearer secret"), ("traceparent", "00-aa-bb-01")),
        )

        assert await call == b"tensor"
        assert dict(await call.initial_metadata())["served-by"] == "engine"
        assert dict(await call.trailing_metadata())["cost"] == "1"
        ((method, metadata),) = at.engine.seen
        assert (method, metadata["x-request-id"], metadata["traceparent"]) == ("/engine/Echo", "7", "00-aa-bb-01")
        assert "authorization" not in metadata
        assert at.calls[0].statuses == [0]


async def test_a_call_is_the_services_when_its_first_message_or_its_path_says_so(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        by_message = await ask(opened, "/engine/Who", b"to the service", metadata=(("authorization", "kept"),))
        by_path = await ask(opened, "/other/Who", b"")

        assert (by_message, by_path) == (b"service", b"service")
        assert at.service.seen[0][1]["authorization"] == "kept"
        assert at.calls == []


async def test_many_calls_at_a_time_each_get_their_own_answer(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        bodies = [b"%d" % number * (number % 50 + 1) for number in range(400)]

        assert await asyncio.gather(*(ask(opened, "/engine/Echo", body) for body in bodies)) == bodies
        assert [entered.statuses for entered in at.calls] == [[0]] * 400


@pytest.mark.parametrize("size", [0, 1, 4091, 4092, 16 * 1024, 1024 * 1024 + 1, 12_000_000])
async def test_messages_of_every_size_pass_both_ways(way: type[Routing], size: int) -> None:
    message = os.urandom(size)
    async with world(way) as at, channel(at) as opened:
        for _ in range(3):  # the windows must have been given back
            assert await ask(opened, "/engine/Echo", message) == message


async def test_large_messages_side_by_side_share_the_windows(way: type[Routing]) -> None:
    message = os.urandom(6_000_000)
    async with world(way) as at, channel(at) as opened:
        answers = await asyncio.gather(*(ask(opened, "/engine/Echo", message) for _ in range(8)))

        assert all(answer == message for answer in answers)


async def test_compressed_messages_pass(way: type[Routing]) -> None:
    message = b"again and again " * 10_000
    async with world(way) as at, channel(at) as opened:
        assert await ask(opened, "/engine/Echo", message, compression=grpc.Compression.Gzip) == message


async def test_the_engines_rejection_comes_through_with_its_words(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(opened, "/engine/Fail", b"x")

        assert (caught.value.code(), caught.value.details()) == (
            grpc.StatusCode.NOT_FOUND,
            "no such thing: 100 % sure",
        )
        assert dict(caught.value.trailing_metadata())["why"] == "asked"
        assert at.calls[0].statuses == [5]


async def test_a_stream_of_messages_passes_as_it_comes(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        for path in ("/engine/Count", "/other/Count"):
            stream = opened.stream_stream(path)(timeout=DEADLINE)
            for size in (1, 30_000, 0):
                await stream.write(b"x" * size)
                assert await stream.read() == b"%d" % size  # each is answered before the next is sent
            await stream.done_writing()
            assert await stream.read() is grpc.aio.EOF


async def test_a_client_that_cancels_its_call_ends_the_engines_work(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        call = opened.unary_unary("/engine/Hang")(b"x", timeout=DEADLINE)
        async with asyncio.timeout(DEADLINE):
            await at.engine.entered.wait()
            call.cancel()
            await at.engine.cancelled.wait()

        assert at.calls[0].statuses == [RpcStatus.CANCELLED]


async def test_a_client_that_disconnects_ends_the_engines_work(way: type[Routing]) -> None:
    async with world(way) as at:
        async with channel(at) as opened:
            call = asyncio.ensure_future(ask(opened, "/engine/Hang", b"x"))
            async with asyncio.timeout(DEADLINE):
                await at.engine.entered.wait()
        async with asyncio.timeout(DEADLINE):
            await at.engine.cancelled.wait()
        await asyncio.gather(call, return_exceptions=True)


async def test_an_engine_that_dies_makes_its_calls_unavailable_and_not_the_services(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        call = asyncio.ensure_future(ask(opened, "/engine/Hang", b"x"))
        async with asyncio.timeout(DEADLINE):
            await at.engine.entered.wait()
        await at.stop_engine()

        for failing in (call, ask(opened, "/engine/Echo", b"x")):
            with pytest.raises(grpc.aio.AioRpcError) as lost:
                await failing
            assert lost.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
        assert await ask(opened, "/other/Who", b"") == b"service"
        assert at.calls[-1].statuses == [14]


async def test_a_deadline_is_kept_by_the_engine(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        with pytest.raises(grpc.aio.AioRpcError) as late:
            await opened.unary_unary("/engine/Hang")(b"x", timeout=0.2)

        assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        async with asyncio.timeout(DEADLINE):
            await at.engine.cancelled.wait()


async def test_a_drain_lets_running_calls_end_and_takes_no_new_ones(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        call = asyncio.ensure_future(ask(opened, "/engine/Hang", b"x"))
        async with asyncio.timeout(DEADLINE):
            await at.engine.entered.wait()
        stopping = asyncio.ensure_future(stop(at.proxy, DEADLINE))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(opened, "/engine/Echo", b"x")
        at.engine.go_on.set()

        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert await call == b"after all"
        await stopping


async def test_a_drain_cuts_what_outlasts_the_grace(way: type[Routing]) -> None:
    async with world(way) as at, channel(at) as opened:
        call = asyncio.ensure_future(ask(opened, "/engine/Hang", b"x"))
        async with asyncio.timeout(DEADLINE):
            await at.engine.entered.wait()
        await stop(at.proxy, 0.05)

        with pytest.raises(grpc.aio.AioRpcError):
            await call


async def test_grpc_and_http_come_by_the_same_port(way: type[Routing]) -> None:
    async with (
        world(way) as at,
        http2_serving.world(rpc=at.handler) as both,
        grpc.aio.insecure_channel(f"{HOST}:{both.port}", options=OPTIONS) as opened,
    ):
        message = bytes(3_000_000)
        called = asyncio.ensure_future(ask(opened, "/engine/Echo", message))
        assert (await both.client.post("/echo", content=b"a body")).content == b"a body"
        assert await called == message
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ask(opened, "/engine/Fail", b"")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_a_server_without_grpc_says_so() -> None:
    async with http2_serving.world() as at:
        async with grpc.aio.insecure_channel(f"{HOST}:{at.port}", options=OPTIONS) as opened:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await ask(opened, "/any/Echo", b"x")
        assert (caught.value.code(), caught.value.details()) == (
            grpc.StatusCode.UNIMPLEMENTED,
            "this port does not serve gRPC",
        )


# -- peers that speak otherwise


async def test_a_client_that_speaks_http_1_is_the_other_handlers(way: type[Routing]) -> None:
    async with world(way) as at:
        answer = await converse(at.port, b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 415 ")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (frames.frame_header(2**24 - 1, frames.HEADERS, 0, 1), frames.FRAME_SIZE_ERROR),
        (frames.frame_header(0, frames.HEADERS, frames.END_HEADERS, 2), frames.PROTOCOL_ERROR),
        (frames.frame_header(0, frames.HEADERS, frames.END_HEADERS, 0), frames.PROTOCOL_ERROR),
        (frames.frame_header(0, frames.CONTINUATION, frames.END_HEADERS, 1), frames.PROTOCOL_ERROR),
        (
            frames.frame_header(0, frames.HEADERS, 0, 1) + frames.frame_header(8, frames.PING, 0, 0) + bytes(8),
            frames.PROTOCOL_ERROR,
        ),
        (frames.frame_header(2, frames.HEADERS, frames.END_HEADERS, 1) + b"\xff\xff", frames.COMPRESSION_ERROR),
        (frames.frame_header(1, frames.DATA, frames.PADDED, 1) + b"\x05", frames.PROTOCOL_ERROR),
        (frames.frame_header(3, frames.SETTINGS, 0, 0) + bytes(3), frames.FRAME_SIZE_ERROR),
        (frames.settings({frames.INITIAL_WINDOW_SIZE: 2**31}), frames.FLOW_CONTROL_ERROR),
        (frames.settings({frames.MAX_FRAME_SIZE: 1}), frames.PROTOCOL_ERROR),
        (frames.frame_header(7, frames.PING, 0, 0) + bytes(7), frames.FRAME_SIZE_ERROR),
        (frames.frame_header(4, frames.PUSH_PROMISE, 0, 1) + bytes(4), frames.PROTOCOL_ERROR),
        (frames.frame_header(4, frames.WINDOW_UPDATE, 0, 0) + b"\x7f\xff\xff\xff", frames.FLOW_CONTROL_ERROR),
        (frames.frame_header(3, frames.WINDOW_UPDATE, 0, 0) + bytes(3), frames.FRAME_SIZE_ERROR),
        (frames.frame_header(4, frames.WINDOW_UPDATE, 0, 0) + bytes(4), frames.PROTOCOL_ERROR),
        (frames.frame_header(4, frames.RST_STREAM, 0, 1) + bytes(4), frames.PROTOCOL_ERROR),
        (frames.frame_header(4, frames.RST_STREAM, 0, 0) + bytes(4), frames.PROTOCOL_ERROR),
        (frames.frame_header(1, frames.DATA, 0, 1) + bytes(1), frames.PROTOCOL_ERROR),
        (frames.frame_header(8, frames.PING, 0, 1) + bytes(8), frames.PROTOCOL_ERROR),
        (frames.frame_header(1, frames.SETTINGS, frames.ACK, 0) + bytes(1), frames.FRAME_SIZE_ERROR),
        (
            frames.frame_header(60_000, frames.HEADERS, 0, 1)
            + bytes(60_000)
            + frames.frame_header(60_000, frames.CONTINUATION, 0, 1)
            + bytes(60_000),
            frames.ENHANCE_YOUR_CALM,
        ),
    ],
)
async def test_a_client_that_breaks_the_protocol_hears_how(way: type[Routing], frame: bytes, code: int) -> None:
    async with world(way) as at, channel(at) as opened:
        answer = await converse(at.port, frames.PREFACE + frames.settings({}) + frame)

        assert goodbye(answer) == code
        assert await ask(opened, "/engine/Echo", b"others go on") == b"others go on"


async def test_a_client_that_ignores_its_window_is_cut_off() -> None:
    with socket.create_server((HOST, 0)) as deaf:  # takes connections and never reads
        proxy, port = await serve(forward_to(f"{HOST}:{deaf.getsockname()[1]}"))
        request = frames.frame_header(len(HEAD), frames.HEADERS, frames.END_HEADERS, 1) + HEAD
        flood = frames.frame_header(100_000, frames.DATA, 0, 1) + bytes(100_000)
        await converse(port, frames.PREFACE + frames.settings({}) + request + flood * 60)

        assert not proxy._connections
        await stop(proxy, 1)


HEAD = b"".join(
    b"\0%c%b%c%b" % (len(name), name, len(value), value)
    for name, value in (
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", b"/engine/Hang"),
        (b":authority", b"x"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
    )
)
