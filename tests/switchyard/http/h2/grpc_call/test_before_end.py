"""What is to be done before a call's trailers is done when its client sees them, and not at all for one that ended."""

import asyncio

import grpc
import grpc.aio
import pytest

from switchyard.http.h2.grpc_call import GrpcCall, RpcResponse
from switchyard.rpc.status import RpcStatus
from tests.switchyard.http.h2.grpc_call.world import DEADLINE, happens, target, world


@pytest.mark.parametrize("path", ["/a/Echo", "/a/Fail"])
async def test_trailers_wait_for_what_is_to_be_done_before_them(path: str) -> None:
    begun, go_on, ends = asyncio.Event(), asyncio.Event(), []

    async def before_end(trailers: RpcResponse) -> None:
        begun.set()
        await go_on.wait()
        ends.append("settled")

    async with target() as to:

        async def handler(call: GrpcCall) -> None:
            call.before_end = before_end
            await call.forward(to.address)

        async with world(handler) as at:
            call = at.channel.unary_unary(path)(b"tensor", timeout=DEADLINE)
            call.add_done_callback(lambda _: ends.append("seen"))
            async with asyncio.timeout(DEADLINE):
                await begun.wait()
            assert not call.done()
            go_on.set()
            code = await call.code()

            assert ends == ["settled", "seen"]
            assert code == (grpc.StatusCode.OK if path == "/a/Echo" else grpc.StatusCode.NOT_FOUND)
            assert dict(await call.trailing_metadata()) == ({"cost": "1"} if path == "/a/Echo" else {"why": "asked"})
            assert await at.ask("/a/Echo", b"again") == b"again"


async def test_a_hidden_field_is_for_what_is_done_before_the_trailers_alone() -> None:
    found: list[RpcResponse] = []

    async def before_end(trailers: RpcResponse) -> None:
        found.append(trailers)

    async with target() as to:

        async def handler(call: GrpcCall) -> None:
            call.before_end, call.hidden = before_end, frozenset((b"cost",))
            await call.forward(to.address)

        async with world(handler) as at:
            call = at.channel.unary_unary("/a/Echo")(b"tensor", timeout=DEADLINE)
            assert await call == b"tensor"
            assert dict(await call.trailing_metadata()) == {}
    assert [(trailers.status, trailers.field(b"cost"), trailers.field(b"why")) for trailers in found] == [
        (RpcStatus.OK, b"1", None)
    ]


async def test_a_client_that_cancels_while_trailers_wait_cancels_what_they_wait_for() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()
    calls: list[GrpcCall] = []

    async def before_end(trailers: RpcResponse) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with target() as to:

        async def handler(call: GrpcCall) -> None:
            calls.append(call)
            call.before_end = before_end if len(calls) == 1 else None
            await call.forward(to.address)

        async with world(handler) as at:
            call = at.channel.unary_unary("/a/Echo")(b"tensor", timeout=DEADLINE)
            async with asyncio.timeout(DEADLINE):
                await begun.wait()
                call.cancel()
                await cancelled.wait()
            await happens(lambda: calls[0].status is RpcStatus.CANCELLED)

            assert await at.ask("/a/Echo", b"another") == b"another"
