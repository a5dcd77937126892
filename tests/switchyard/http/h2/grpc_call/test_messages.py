"""The first message of a call: read whole or in part, compressed or not, and rejected with a reason."""

import asyncio
import gzip
import zlib
from collections.abc import Awaitable, Callable

import grpc
import grpc.aio
import pytest

from switchyard.http.h2 import frames
from switchyard.http.h2.grpc_call import GrpcCall, forward_to
from switchyard.http.h2.grpc_call.messages import framed
from switchyard.http.server import ServerLimits
from switchyard.rpc.status import RpcError, RpcStatus
from tests.switchyard.http.h2.grpc_call.world import CALL, LARGE, World, happens, target, world
from tests.switchyard.http.h2.raw import GREETING, Talk, converse, request_bytes


@pytest.mark.parametrize("size", [0, 1, 4096, 300_000, LARGE])
async def test_a_first_message_is_read_whole_or_its_beginning(size: int) -> None:
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    seen: list[bytes] = []

    async def handle(call: GrpcCall) -> None:
        seen.append(await call.first_message(LARGE, peek=10))
        seen.append(await call.first_message(LARGE))
        call.respond(b"")

    async with world(handle) as at:
        for _ in range(3):  # the windows must have been given back
            seen.clear()
            await at.ask("/a/B", message)
            assert seen == [message[:10], message]


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compressed_message_is_read_and_goes_on_as_it_came(algorithm: grpc.Compression) -> None:
    message = b"again and again " * 1000
    seen: list[bytes] = []
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            seen.append(await call.first_message(LARGE, peek=20))
            seen.append(await call.first_message(LARGE))
            await call.forward(to.address, call.metadata)

        async with world(handle) as at:
            assert await at.ask("/a/Echo", message, compression=algorithm) == message
    assert seen == [message, message]


def compressed(data: bytes) -> bytes:
    return b"\1" + framed(data)[1:]


UNREADABLE: dict[str, tuple[bytes, bytes | None, RpcStatus]] = {
    "large": (framed(bytes(1001)), b"identity", RpcStatus.RESOURCE_EXHAUSTED),
    "said to be large": (b"\0\xff\xff\xff\xff", None, RpcStatus.RESOURCE_EXHAUSTED),
    "a gzip bomb": (compressed(gzip.compress(bytes(1001))), b"gzip", RpcStatus.RESOURCE_EXHAUSTED),
    "a deflate bomb": (compressed(zlib.compress(bytes(1001))), b"deflate", RpcStatus.RESOURCE_EXHAUSTED),
    "no gzip": (compressed(b"no gzip"), b"gzip", RpcStatus.INVALID_ARGUMENT),
    "compressed without an encoding": (compressed(b"x"), None, RpcStatus.UNIMPLEMENTED),
    "nothing": (b"", None, RpcStatus.INVALID_ARGUMENT),
    "less than a prefix": (b"\0\0", None, RpcStatus.INVALID_ARGUMENT),
    "cut short": (framed(b"whole")[:-1], None, RpcStatus.INVALID_ARGUMENT),
}


@pytest.mark.parametrize(("sent", "encoding", "code"), UNREADABLE.values(), ids=UNREADABLE)
async def test_a_message_that_cannot_be_read_is_rejected_with_a_reason(
    sent: bytes, encoding: bytes | None, code: RpcStatus
) -> None:
    raised: list[RpcError] = []

    async def handle(call: GrpcCall) -> None:
        try:
            await call.first_message(1000)
        except RpcError as err:
            raised.append(err)
            raise

    async with world(handle) as at:
        fields = CALL if encoding is None else [*CALL, (b"grpc-encoding", encoding)]
        await converse(at.port, GREETING + request_bytes(fields, sent), until=frames.HEADERS)
    assert [one.status for one in raised] == [code]
    assert raised[0].message


BAD_FIELDS = {
    "an unknown encoding": ((b"grpc-encoding", b"snappy"), b"grpc-status\x0212", b"grpc-accept-encoding"),
    "binary that is no base64": ((b"a-bin", b"QR"), b"grpc-status\x013", b"no base64"),
    "a name that gRPC has not": ((b"a!b", b"x"), b"grpc-status\x013", b"names have"),
}


@pytest.mark.parametrize(("field", "status", "text"), BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_fields_for_which_servers_close_the_connection_reach_none(
    field: tuple[bytes, bytes], status: bytes, text: bytes
) -> None:
    async def handle(call: GrpcCall) -> None:
        raise AssertionError("no handler may have it")

    async with world(handle) as at:
        sent = GREETING + request_bytes([*CALL, field], framed(b"x"))
        answer = await converse(at.port, sent, until=frames.HEADERS)
    assert status in answer
    assert text in answer


@pytest.mark.parametrize("value", [b"", b"QQ", b"QQ==", b"QUI=", b"AAEC"])
async def test_binary_metadata_passes_with_its_padding_or_without(value: bytes) -> None:
    async def handle(call: GrpcCall) -> None:
        call.respond(call.fields[b"a-bin"])

    async with world(handle) as at:
        sent = GREETING + request_bytes([*CALL, (b"a-bin", value)], framed(b"x"))
        assert framed(value) in await converse(at.port, sent, until=frames.DATA)


@pytest.mark.parametrize("sent", [[framed(b"x" * 100)[:50]], [framed(b"x"), framed(b"y" * 9)[:3]]])
async def test_a_call_that_ends_within_a_message_waits_for_no_server(
    sent: list[bytes],
) -> None:
    async with target() as behind, world(forward_to(behind.address)) as at:
        talk = await Talk.to(at.port, CALL, ends=False)
        for data in sent:
            talk.sends(1, data, ends=False)
        talk.sends(1, b"")
        assert b"before its message was complete" in await talk.hears(frames.HEADERS)
        await talk.disconnects()
    async with target() as behind, world(forward_to(behind.address)) as at:
        answer = await converse(at.port, GREETING + request_bytes(CALL, *sent), until=frames.HEADERS)
        assert b"before its message was complete" in answer


async def test_a_message_that_is_marked_as_compressed_without_an_encoding_is_told_what_to_name() -> None:
    async def handle(call: GrpcCall) -> None:
        with pytest.raises(RpcError, match="marked as compressed, but grpc-encoding names no compression"):
            await call.first_message(1000)
        call.fail(RpcStatus.UNIMPLEMENTED, "rejected")

    async with world(handle) as at:
        await converse(at.port, GREETING + request_bytes(CALL, compressed(b"x")), until=frames.HEADERS)


async def test_a_message_that_comes_too_slowly_is_given_up_and_one_that_has_not_begun_is_not() -> None:
    async def handle(call: GrpcCall) -> None:
        call.respond(await call.first_message(1000))

    async with world(handle, ServerLimits(read_seconds=0.1)) as at:
        talk = await Talk.to(at.port, CALL, ends=False)
        talk.asks(3, CALL, framed(b"whole")[:-1], ends=False)
        assert b"\x014" in await talk.hears(frames.HEADERS, stream=3)  # grpc-status: DEADLINE_EXCEEDED
        talk.sends(1, framed(b"late but whole"), ends=False)
        assert await talk.hears(frames.DATA) == framed(b"late but whole")
        await talk.disconnects()


@pytest.mark.parametrize("take", [GrpcCall.first_message, GrpcCall.hold_memory], ids=["read whole", "held by others"])
async def test_messages_take_no_more_memory_together_than_the_server_allows(
    take: Callable[[GrpcCall, int], Awaitable[object]],
) -> None:
    go_on = asyncio.Event()
    codes: list[str] = []

    async def handle(call: GrpcCall) -> None:
        await take(call, LARGE)
        await go_on.wait()
        call.respond(b"")

    async def ask(at: World, size: int) -> None:
        try:
            await at.ask("/a/B", bytes(size))
            codes.append("OK")
        except grpc.aio.AioRpcError as err:
            codes.append(err.code().name)

    async with world(handle, ServerLimits(body_memory=1_000_000)) as at:
        asked = [asyncio.ensure_future(ask(at, 400_000)) for _ in range(5)]
        await happens(lambda: len(codes) == 3)
        assert codes == ["UNAVAILABLE"] * 3
        small = asyncio.ensure_future(ask(at, 1000))  # takes hardly any, and is taken
        await happens(lambda: at.server.in_flight == 3)
        go_on.set()
        await asyncio.gather(*asked, small)
        assert codes[3:] == ["OK"] * 3
        assert at.server.memory.used == 0


@pytest.mark.parametrize("take", [GrpcCall.first_message, GrpcCall.hold_memory], ids=["read whole", "held by others"])
async def test_an_owners_messages_leave_room_for_another_ones(
    take: Callable[[GrpcCall, int], Awaitable[object]],
) -> None:
    go_on = asyncio.Event()
    codes: list[str] = []

    async def handle(call: GrpcCall) -> None:
        call.held_for(call.path[1:2])
        await take(call, LARGE)
        await go_on.wait()
        call.respond(b"")

    async def ask(at: World, owner: str) -> None:
        try:
            await at.ask(f"/{owner}/B", bytes(200_000))
            codes.append("OK")
        except grpc.aio.AioRpcError as err:
            codes.append(f"{err.code().name} {dict(err.trailing_metadata() or ()).get('retry-after')}")

    async with world(handle, ServerLimits(body_memory=1_000_000)) as at:
        asked = [asyncio.ensure_future(ask(at, "a")) for _ in range(4)]
        await happens(lambda: len(codes) == 2)
        assert codes == ["RESOURCE_EXHAUSTED 1"] * 2
        asked.append(asyncio.ensure_future(ask(at, "b")))
        await happens(lambda: at.server.memory.held("b") >= 200_000)
        go_on.set()
        await asyncio.gather(*asked)
        assert codes[2:] == ["OK"] * 3
        assert at.server.memory.used == 0
