"""What a handler can do with a call, and how the call ends whatever the handler, the client or the clock does."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio
import pytest

from switchyard.http.api_errors import ApiError
from switchyard.http.h2 import frames
from switchyard.http.h2.grpc_call import FastCall, FastHandler, GrpcCall, RpcRequest
from switchyard.http.h2.grpc_call.messages import framed
from switchyard.rpc.status import RpcError, RpcStatus
from tests.switchyard.http.h2.grpc_call.world import CALL, DEADLINE, LARGE, failure, happens, target, world
from tests.switchyard.http.h2.raw import GREETING, HOST, Talk, converse, heard, request_bytes

# -- responses


async def test_a_handler_responds_with_one_message_and_metadata_before_and_behind_it() -> None:
    async def handle(call: GrpcCall) -> None:
        call.response_metadata = ((b"x-request-id", b"7"),)
        call.respond(await call.first_message(100) + b" indeed", ((b"cost", b"1"),))

    async with world(handle) as at:
        call = at.channel.unary_unary("/a/B")(b"so", timeout=DEADLINE)
        assert await call == b"so indeed"
        assert dict(await call.initial_metadata())["x-request-id"] == "7"
        assert dict(await call.trailing_metadata()) == {"cost": "1"}


async def test_a_handler_sees_the_call() -> None:
    seen: list[GrpcCall] = []

    async def handle(call: GrpcCall) -> None:
        seen.append(call)
        call.respond(b"")

    async with world(handle) as at:
        began = asyncio.get_running_loop().time()
        await at.ask("/a/B", metadata=(("x-mine", "1"), ("data-bin", b"\0\xff")), timeout=7)
    (call,) = seen
    fields = dict(call.metadata)
    assert (call.path, fields[b"x-mine"], fields[b"data-bin"]) == ("/a/B", b"1", b"AP8")
    assert not [name for name in fields if name.startswith((b"grpc-", b":")) or name in (b"te", b"content-type")]
    assert call.deadline is not None
    assert 6 < call.deadline - began < 8
    assert call.client is not None
    assert call.server == (HOST, at.port)
    assert call.status is RpcStatus.OK


async def test_messages_are_sent_one_by_one() -> None:
    go_on = asyncio.Event()

    async def handle(call: GrpcCall) -> None:
        call.send(b"one")
        await go_on.wait()
        call.send(b"two")
        call.finish()

    async with world(handle) as at:
        stream = at.channel.unary_stream("/a/B")(b"", timeout=DEADLINE)
        assert await stream.read() == b"one"
        go_on.set()
        assert await stream.read() == b"two"
        assert await stream.read() is grpc.aio.EOF


@pytest.mark.parametrize("metadata", [(), ((b"x-request-id", b"7"),)], ids=["trailers only", "with metadata before"])
async def test_a_handler_fails_a_call_with_a_sentence(metadata: Any) -> None:
    async def handle(call: GrpcCall) -> None:
        call.response_metadata = metadata
        call.fail(RpcStatus.PERMISSION_DENIED, "100 % für niemanden\n", ((b"why", b"asked"),))

    async with world(handle) as at:
        error = await failure(at.ask("/a/B"))
        assert (error.code(), error.details()) == (grpc.StatusCode.PERMISSION_DENIED, "100 % für niemanden\n")
        assert dict(error.trailing_metadata())["why"] == "asked"
        assert dict(error.initial_metadata()).get("x-request-id") == ("7" if metadata else None)


async def test_a_response_of_trailers_only_is_one_frame() -> None:
    async def handle(call: GrpcCall) -> None:
        call.fail(RpcStatus.NOT_FOUND, "no")

    async with world(handle) as at:
        sent = await converse(at.port, GREETING + request_bytes(CALL, framed(b"")), until=frames.HEADERS)
        kinds = [kind for kind, number, _ in heard(sent) if number == 1]
        # A reset without an error follows if the end of the request was not read before it failed (RFC 9113 §8.1).
        assert kinds in ([frames.HEADERS], [frames.HEADERS, frames.RST_STREAM])


async def test_a_call_that_failed_in_the_middle_of_its_response_says_why() -> None:
    async def handle(call: GrpcCall) -> None:
        call.send(b"one")
        raise RpcError(RpcStatus.DATA_LOSS, "the rest is gone")

    async with world(handle) as at:
        stream = at.channel.unary_stream("/a/B")(b"", timeout=DEADLINE)
        assert await stream.read() == b"one"
        error = await failure(stream.read())
        assert (error.code(), error.details()) == (grpc.StatusCode.DATA_LOSS, "the rest is gone")


@pytest.mark.parametrize(
    ("raised", "code", "details"),
    [
        (RpcError(RpcStatus.ABORTED, "not now"), grpc.StatusCode.ABORTED, "not now"),
        (ApiError("overloaded", "too much"), grpc.StatusCode.UNAVAILABLE, "too much"),
        (ValueError("a secret"), grpc.StatusCode.INTERNAL, "internal error; the reason is in the service's log"),
    ],
    ids=["RpcError", "ApiError", "a bug"],
)
async def test_what_a_handler_raises_is_the_response(
    raised: Exception, code: grpc.StatusCode, details: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handle(call: GrpcCall) -> None:
        raise raised

    async with world(handle) as at:
        error = await failure(at.ask("/a/B"))
    assert (error.code(), error.details()) == (code, details)
    assert ("a secret" in caplog.text) is isinstance(raised, ValueError)


async def test_a_handler_that_returns_without_a_response_is_a_bug(caplog: pytest.LogCaptureFixture) -> None:
    async def handle(call: GrpcCall) -> None:
        await call.first_message(100)

    async with world(handle) as at:
        assert (await failure(at.ask("/a/B"))).code() == grpc.StatusCode.INTERNAL
    assert "returned without a response" in caplog.text


async def test_a_handler_that_fails_to_admit_a_call_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(FastHandler):
        paths = frozenset(("/a/Fails",))

        def admit(self, request: RpcRequest, beginning: bytes) -> FastCall | None:
            raise ValueError("a secret")

        async def __call__(self, call: GrpcCall) -> None:
            call.respond(b"whole")

    async with world(Failing()) as at:
        other = asyncio.ensure_future(at.ask("/a/Works"))
        assert (await failure(at.ask("/a/Fails"))).code() == grpc.StatusCode.INTERNAL
        assert await other == b"whole"
    assert "a secret" in caplog.text


async def test_a_response_to_a_client_that_is_gone_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    over = asyncio.Event()

    async def handle(call: GrpcCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            call.respond(b"too late")
            call.fail(RpcStatus.INTERNAL, "too late")
            over.set()

    async with world(handle) as at:
        talk = await Talk.to(at.port, CALL)
        await happens(lambda: at.server.in_flight == 1)
        talk.gives_up(1)
        async with asyncio.timeout(DEADLINE):
            await over.wait()
        await talk.disconnects()
    assert not caplog.records


# -- guards


@pytest.mark.parametrize("size", [10, 100_000, LARGE])
async def test_a_guard_sees_what_is_forwarded_and_ends_the_call_when_it_objects(size: int) -> None:
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            await call.first_message(LARGE + 100, peek=10)
            call.guard(object_to(b"forbidden"))
            await call.forward(to.address)

        async with world(handle) as at:
            for _ in range(3):  # the windows must have been given back
                assert await at.ask("/a/Echo", bytes(size)) == bytes(size)
                error = await failure(at.ask("/a/Hang", bytes(size) + b"forbidden"))
                assert (error.code(), error.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "that is forbidden")
            await happens(lambda: at.server.in_flight == 0)
        assert not to.answering.entered.is_set()  # what was forbidden was never whole


def object_to(word: bytes) -> Callable[[bytes], None]:
    end = b""

    def check(chunk: bytes) -> None:
        nonlocal end
        end = (end + chunk)[-len(word) - len(chunk) :]
        if word in end:
            raise ValueError(f"that is {word.decode()}")

    return check


# -- clients and deadlines


async def test_a_deadline_cancels_the_handler_and_the_client_is_told() -> None:
    cancelled: list[RpcStatus | None] = []

    async def handle(call: GrpcCall) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(call.status)
            raise

    async with world(handle) as at:
        talk = await Talk.to(at.port, [*CALL, (b"grpc-timeout", b"50m")])
        assert b"\x014" in await talk.hears(frames.HEADERS)  # grpc-status: DEADLINE_EXCEEDED
        await happens(lambda: cancelled == [RpcStatus.DEADLINE_EXCEEDED])
        await talk.disconnects()


async def test_a_timeout_that_is_none_is_rejected() -> None:
    async def handle(call: GrpcCall) -> None:
        raise AssertionError

    async with world(handle) as at:
        talk = await Talk.to(at.port, [*CALL, (b"grpc-timeout", b"soon")])
        assert b"\x013" in await talk.hears(frames.HEADERS)  # grpc-status: INVALID_ARGUMENT
        await talk.disconnects()


async def test_what_is_left_of_the_time_goes_on_with_the_call() -> None:
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            if call.deadline is not None:
                passed = asyncio.Event()
                asyncio.get_running_loop().call_at(call.deadline - 9.9, passed.set)
                await passed.wait()
            await call.forward(to.address)

        async with world(handle) as at:
            await at.ask("/a/Left", timeout=10)
            await at.ask("/a/Left", timeout=None)
    first, second = (float(value) for value in to.answering.times)
    assert 9 < first < 9.91
    assert second == float("inf")


@pytest.mark.parametrize("phase", ["before the first message", "while the handler waits", "after forward"])
async def test_a_client_that_cancels_its_call_cancels_the_handler_in_every_phase(phase: str) -> None:
    entered, cancelled = asyncio.Event(), asyncio.Event()
    statuses: list[RpcStatus | None] = []
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            entered.set()
            try:
                if phase == "before the first message":
                    await call.first_message(100)
                elif phase == "while the handler waits":
                    await asyncio.Event().wait()
                else:
                    await call.forward(to.address)
            finally:
                statuses.append(call.status)
                cancelled.set()

        async with world(handle) as at:
            talk = await Talk.to(at.port, CALL, path=b"/a/Hang", ends=False)
            if phase == "after forward":
                talk.sends(1, framed(b"x"))
            async with asyncio.timeout(DEADLINE):
                await entered.wait()
                if phase == "after forward":
                    await to.answering.entered.wait()
                talk.gives_up(1)
                await cancelled.wait()
                if phase == "after forward":
                    await to.answering.cancelled.wait()
            await happens(lambda: at.server.in_flight == 0)
            await talk.disconnects()
    assert statuses == [RpcStatus.CANCELLED]


async def test_a_server_that_stops_ends_its_calls() -> None:
    async def handle(call: GrpcCall) -> None:
        await asyncio.Event().wait()

    async with world(handle) as at:
        asked = asyncio.ensure_future(failure(at.ask("/a/B")))
        await happens(lambda: at.server.in_flight == 1)
        await at.server.aclose()
        assert (await asked).code() == grpc.StatusCode.UNAVAILABLE
        assert at.server.in_flight == 0
