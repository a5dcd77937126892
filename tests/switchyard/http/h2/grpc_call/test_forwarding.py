"""Calls that go on to other servers, which are gone, leave, break off, or speak no gRPC."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import grpc.aio
import pytest

from switchyard.http.h2 import frames
from switchyard.http.h2.connection import STREAM_WINDOW
from switchyard.http.h2.fields import Field, literals
from switchyard.http.h2.grpc_call import GrpcCall, UpstreamUnavailableError, forward_to
from switchyard.http.h2.grpc_call import upstream as upstreams
from switchyard.http.h2.grpc_call.messages import CONNECTION_RETRY_BYTES, RETRY_BYTES, framed
from switchyard.rpc.status import RpcError, RpcStatus
from tests.switchyard.http.h2.conftest import HOST
from tests.switchyard.http.h2.grpc_call.world import DEADLINE, LARGE, failure, happens, raw_server, target, world

HEADERS = literals([(b":status", b"200"), (b"content-type", b"application/grpc")])


def unused() -> str:
    """An address at which nobody listens."""
    with socket.create_server((HOST, 0)) as one:
        return f"{HOST}:{one.getsockname()[1]}"


def block(fields: list[Field] | bytes, number: int = 1, *, end: bool = False) -> bytes:
    payload = fields if isinstance(fields, bytes) else literals(fields)
    flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
    return frames.frame_header(len(payload), frames.HEADERS, flags, number) + payload


def data(payload: bytes, number: int = 1, *, end: bool = False) -> bytes:
    return frames.frame_header(len(payload), frames.DATA, frames.END_STREAM if end else 0, number) + payload


@asynccontextmanager
async def saying(said: bytes, *, after: int = 1, close: bool = False) -> AsyncIterator[str]:
    """A server that says ``said`` once it has got ``after`` bytes of a call, and perhaps closes the connection then."""

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.settings({}))
        got = b""
        while b":path" not in got or len(got) < after:
            if not (received := await reader.read(65536)):
                break
            got += received
        writer.write(said)
        if close:
            await writer.drain()
            writer.transport.abort()
        await reader.read(-1)

    async with raw_server(converse) as address:
        yield address


# -- another attempt


@pytest.mark.parametrize("size", [1, STREAM_WINDOW - 1000, LARGE])
async def test_a_call_whose_target_is_dead_goes_to_another_whatever_its_size(size: int) -> None:
    message = bytes(size)
    reasons: list[str] = []
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            for address in (unused(), unused(), to.address):
                try:
                    await call.forward(address)
                except UpstreamUnavailableError as err:
                    reasons.append(err.message)

        async with world(handle) as at:
            for _ in range(3):  # the windows must have been given back
                assert await at.ask("/a/Echo", message) == message
    assert len(reasons) == 6
    assert all("cannot be reached" in reason for reason in reasons)


@pytest.mark.parametrize("size", [1, RETRY_BYTES - 100])
async def test_a_call_whose_target_died_unanswered_is_sent_again_from_its_beginning(size: int) -> None:
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with target() as to, saying(b"", after=min(size, 50_000), close=True) as dying:

        async def handle(call: GrpcCall) -> None:
            with pytest.raises(UpstreamUnavailableError, match="lost before it responded"):
                await call.forward(dying)
            await call.forward(to.address)

        async with world(handle) as at:
            for _ in range(20):
                assert await at.ask("/a/Echo", message) == message


async def test_a_call_that_is_too_large_to_be_kept_has_one_attempt() -> None:
    async with target() as to, saying(b"", after=60_000, close=True) as dying:

        async def handle(call: GrpcCall) -> None:
            await happens(lambda: call._received.size > RETRY_BYTES)  # or what is here could still be sent again
            with pytest.raises(UpstreamUnavailableError):
                await call.forward(dying)
            with pytest.raises(RpcError, match="too large to be sent again"):
                await call.forward(to.address)
            raise RpcError(RpcStatus.UNAVAILABLE, "given up")

        async with world(handle) as at:
            for _ in range(5):
                assert (await failure(at.ask("/a/Echo", bytes(LARGE)))).details() == "given up"


async def test_a_message_that_was_read_whole_is_sent_again_whatever_its_size() -> None:
    message = bytes(LARGE)
    async with target() as to, saying(b"", after=60_000, close=True) as dying:

        async def handle(call: GrpcCall) -> None:
            await call.first_message(LARGE)
            with pytest.raises(UpstreamUnavailableError):
                await call.forward(dying)
            await call.forward(to.address)

        async with world(handle) as at:
            for _ in range(3):
                assert await at.ask("/a/Echo", message) == message


async def test_the_calls_of_one_connection_keep_no_more_than_a_share() -> None:
    message = bytes(RETRY_BYTES - 100)
    most = CONNECTION_RETRY_BYTES // len(message)
    seen: list[GrpcCall] = []
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            seen.append(call)
            await call.forward(to.address)

        async with world(handle) as at:
            asked = [asyncio.ensure_future(at.ask("/a/Hang", message)) for _ in range(most + 10)]
            await happens(lambda: len(seen) == len(asked) and all(call._received.complete for call in seen))
            assert sum(call._received.chunks is not None for call in seen) == most
            to.answering.go_on.set()
            await asyncio.gather(*asked)
            assert seen[0]._context.retry_memory.used == 0


async def test_a_call_that_no_attempt_brings_anywhere_is_unavailable() -> None:
    address = unused()
    async with world(forward_to(address)) as at:
        error = await failure(at.ask("/a/Echo"))
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert address in (error.details() or "")


@pytest.mark.parametrize("address", ["nowhere", "no-such-host.invalid:1", ":1", "host:"])
async def test_an_address_that_is_none_is_unavailable(address: str) -> None:
    async with world(forward_to(address)) as at:
        error = await failure(at.ask("/a/Echo"))
        assert error.code() == grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_speaks_another_protocol_is_unavailable() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")

    async with raw_server(http) as address, world(forward_to(address)) as at:
        assert (await failure(at.ask("/a/Echo"))).code() == grpc.StatusCode.UNAVAILABLE


async def test_a_server_that_breaks_the_protocol_as_it_is_connected_to_is_unavailable() -> None:
    class Hasty(upstreams.UpstreamConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            self.data_received(b"HTTP/1.1 400 Bad Request\r\n\r\n")  # the loop learned of both at once

    with socket.create_server((HOST, 0)) as listening:
        connection = Hasty(f"{HOST}:{listening.getsockname()[1]}")
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(UpstreamUnavailableError):
                await connection.ready()


async def test_a_call_that_waits_for_a_connection_learns_that_it_was_closed() -> None:
    with socket.create_server((HOST, 0)) as deaf:
        connection = upstreams.UpstreamConnection(f"{HOST}:{deaf.getsockname()[1]}")
        connection.close()
        async with asyncio.timeout(DEADLINE):
            with pytest.raises(UpstreamUnavailableError):
                await connection.ready()


async def test_a_server_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "_CONNECT_SECONDS", 0.1)
    with socket.create_server((HOST, 0)) as deaf:
        async with world(forward_to(f"{HOST}:{deaf.getsockname()[1]}")) as at:
            error = await failure(at.ask("/a/Echo"))
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "did not speak HTTP/2 within 0.1 s" in (error.details() or "")


# -- what comes back


BROKEN: dict[str, tuple[bytes, RpcStatus, str]] = {
    "no status": (block(HEADERS) + data(framed(b"x"), end=True), RpcStatus.INTERNAL, "has no grpc-status"),
    "trailers without a status": (
        block(HEADERS) + data(framed(b"x")) + block([(b"x", b"y")], end=True),
        RpcStatus.INTERNAL,
        "has no grpc-status",
    ),
    "headers only": (block(HEADERS, end=True), RpcStatus.INTERNAL, "has no grpc-status"),
    "a page": (
        block([(b":status", b"200"), (b"content-type", b"text/html")]) + data(b"<html>", end=True),
        RpcStatus.UNKNOWN,
        "content-type is another",
    ),
    "data without headers": (data(framed(b"x")), RpcStatus.INTERNAL, "no headers"),
    "a proxy's 503": (block([(b":status", b"503")]) + data(b"<html>", end=True), RpcStatus.UNAVAILABLE, "status 503"),
    "a proxy's 404": (block([(b":status", b"404")], end=True), RpcStatus.UNIMPLEMENTED, "HTTP status 404"),
    "a proxy's 302": (block([(b":status", b"302")], end=True), RpcStatus.UNKNOWN, "HTTP status 302"),
    "no status at all": (
        block([(b"content-type", b"text/html")], end=True),
        RpcStatus.INTERNAL,
        "headers are malformed",
    ),
    "reset within": (
        block(HEADERS) + frames.uint32_frame(frames.RST_STREAM, 1, frames.INTERNAL_ERROR),
        RpcStatus.UNAVAILABLE,
        "during its response",
    ),
}


@pytest.mark.parametrize(("said", "code", "details"), BROKEN.values(), ids=BROKEN)
async def test_a_response_that_is_no_grpc_becomes_a_status(said: bytes, code: RpcStatus, details: str) -> None:
    found: list[RpcStatus] = []
    async with saying(said) as address:

        async def handle(call: GrpcCall) -> None:
            found.append(await call.forward(address))

        async with world(handle) as at:
            error = await failure(at.ask("/a/Echo"))
    assert (error.code().name, found) == (code.name, [code])
    assert details in (error.details() or "")


async def test_a_response_of_trailers_only_passes_with_all_it_says() -> None:
    found: list[RpcStatus] = []
    fields = [(b":status", b"200"), (b"content-type", b"application/grpc"), (b"grpc-status", b"5"), (b"why", b"asked")]
    async with saying(block(fields, end=True)) as address:

        async def handle(call: GrpcCall) -> None:
            call.response_metadata = ((b"x-request-id", b"7"),)
            found.append(await call.forward(address))

        async with world(handle) as at:
            error = await failure(at.ask("/a/Echo"))
    assert (error.code(), found) == (grpc.StatusCode.NOT_FOUND, [RpcStatus.NOT_FOUND])
    assert dict(error.trailing_metadata()) == {"why": "asked"}
    assert dict(error.initial_metadata())["x-request-id"] == "7"


async def test_the_handlers_metadata_take_the_place_of_the_upstreams() -> None:
    said = block(literals([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"x-request-id", b"its")]))
    said += data(framed(b"yes")) + block([(b"grpc-status", b"0")], end=True)
    async with saying(said) as address:

        async def handle(call: GrpcCall) -> None:
            call.response_metadata = ((b"x-request-id", b"ours"),)
            await call.forward(address)

        async with world(handle) as at:
            call = at.channel.unary_unary("/a/B")(b"", timeout=DEADLINE)
            assert await call == b"yes"
            assert [pair for pair in await call.initial_metadata() if pair[0] == "x-request-id"] == [
                ("x-request-id", "ours")
            ]


async def test_a_handler_that_stops_to_forward_may_respond_itself() -> None:
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            try:
                async with asyncio.timeout(0.05):
                    await call.forward(to.address)
            except TimeoutError:
                call.respond(b"instead")

        async with world(handle) as at:
            assert await at.ask("/a/Hang") == b"instead"
            async with asyncio.timeout(DEADLINE):
                await to.answering.cancelled.wait()
