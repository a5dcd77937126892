"""The connections on which calls go on: which there are, how many, and what crosses them besides messages."""

import asyncio
import socket
from typing import Any

import grpc
import pytest

from switchyard.http import headers
from switchyard.http.h2 import frames
from switchyard.http.h2.fields import literals
from switchyard.http.h2.grpc_call import GrpcCall, UpstreamUnavailableError, forward_to
from switchyard.http.h2.grpc_call import upstream as upstreams
from switchyard.http.h2.grpc_call.messages import framed
from switchyard.http.server import ServerLimits
from switchyard.rpc.status import RpcError, RpcStatus
from tests.switchyard.http.h2.conftest import HOST
from tests.switchyard.http.h2.grpc_call.world import CALL, DEADLINE, LARGE, failure, happens, raw_server, target, world
from tests.switchyard.http.h2.raw import Talk


async def test_each_call_goes_where_its_handler_says_by_connections_that_are_kept() -> None:
    async with target("one") as one, target("two") as two:
        addresses = {b"one": one.address, b"two": two.address}
        seen: list[GrpcCall] = []

        async def handle(call: GrpcCall) -> None:
            seen.append(call)
            await call.forward(addresses[await call.first_message(10)])

        async with world(handle) as at:
            names = [b"one", b"two"] * 20
            assert await asyncio.gather(*(at.ask("/a/Who", name) for name in names)) == names
            connections = seen[0]._context.upstreams._connections
            assert {name: len(group) for name, group in connections.items()} == dict.fromkeys(addresses.values(), 1)


async def test_a_server_that_takes_few_calls_at_a_time_gets_them_by_several_connections() -> None:
    async with world(_echo, ServerLimits(streams=3)) as behind, world(forward_to(f"{HOST}:{behind.port}")) as at:
        assert await at.ask("/a/B", b"first") == b"first"  # from here on it is known how many it takes
        asked = [at.ask("/a/B", b"%d" % number) for number in range(30)]
        assert await asyncio.gather(*asked) == [b"%d" % number for number in range(30)]


TAKES_NONE = {
    "no streams": frames.settings({frames.MAX_CONCURRENT_STREAMS: 0}),
    "goes away at once": frames.settings({}) + frames.frame_header(8, frames.GOAWAY, 0, 0) + bytes(8),
}


@pytest.mark.parametrize("said", TAKES_NONE.values(), ids=TAKES_NONE)
async def test_a_server_that_takes_no_calls_is_not_connected_to_over_and_over(said: bytes) -> None:
    opened = closed = 0

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened, closed
        opened += 1
        writer.write(said)
        while await reader.read(65536):
            pass
        closed += 1

    async def handle(call: GrpcCall) -> None:
        for _ in range(3):
            with pytest.raises(UpstreamUnavailableError):
                await call.forward(address)
        raise RpcError(RpcStatus.UNAVAILABLE, "given up")

    async with raw_server(wait) as address:
        async with world(handle) as at:
            assert (await failure(at.ask("/a/B"))).details() == "given up"
            assert opened == 3
        await happens(lambda: closed == opened)


async def test_connections_are_bounded_and_idle_ones_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstreams, "CONNECTIONS", 2)
    async with target("one") as one, target("two") as two, target("three") as three:
        addresses = {b"one": one.address, b"two": two.address, b"three": three.address}

        async def handle(call: GrpcCall) -> None:
            await call.forward(addresses[await call.first_message(10)])

        async with world(handle) as at:
            for name in (*addresses, *addresses):
                assert await at.ask("/a/Who", name) == name
            hanging = [asyncio.ensure_future(at.ask("/a/Hang", name)) for name in (b"one", b"two")]
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(one.answering.entered.wait(), two.answering.entered.wait())
            error = await failure(at.ask("/a/Who", b"three"))
            assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "another connection" in (error.details() or "")
            one.answering.go_on.set()
            two.answering.go_on.set()
            await asyncio.gather(*hanging)
            assert await at.ask("/a/Who", b"three") == b"three"


async def test_a_client_that_reads_nothing_holds_up_no_other() -> None:
    async with target() as to, world(forward_to(to.address)) as at:
        talk = await Talk.to(at.port, CALL, path=b"/a/Echo", ends=False)
        payload = framed(bytes(900_000))
        for start in range(0, len(payload), 16_000):
            talk.sends(1, payload[start : start + 16_000], ends=start + 16_000 >= len(payload))
        assert await talk.hears(frames.DATA)  # as much as its window lets pass, which this client never widens
        message = bytes(LARGE)
        for _ in range(3):
            assert await at.ask("/a/Echo", message) == message
        await talk.disconnects()


async def test_a_server_whose_machine_vanishes_is_noticed_by_the_kernel() -> None:
    seen: list[GrpcCall] = []
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            seen.append(call)
            await call.forward(to.address)

        async with world(handle) as at:
            await at.ask("/a/Who")
            transport = seen[0]._context.upstreams.get(to.address)._transport
            assert transport is not None
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


async def test_the_end_of_a_clients_connection_closes_those_to_its_targets() -> None:
    closed = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.settings({}))
        while await reader.read(65536):
            pass
        closed.set()

    async with raw_server(wait) as address, world(forward_to(address)) as at:
        talk = await Talk.to(at.port, CALL)
        await happens(lambda: at.server.in_flight == 1)
        await talk.disconnects()
        async with asyncio.timeout(DEADLINE):
            await closed.wait()
        await happens(lambda: at.server.in_flight == 0)


EDGES: dict[str, headers.Edge | None] = {
    "as it came": None,
    "gateway to model": headers.CLIENT_TO_MODEL,
    "activator to replica": headers.CLIENT_TO_REPLICA,
    "vision to Triton": headers.CLIENT_TO_TRITON,
}
CROSSES = {
    "authorization": ("as it came", "activator to replica"),
    "x-api-key": ("as it came", "activator to replica"),
    "cookie": ("as it came", "activator to replica"),
    "x-switchyard-tenant": ("as it came", "activator to replica"),
    # The gateway adds what it knows of a trace; what clients say of it ends there.
    "traceparent": ("as it came", "activator to replica"),
    "tracestate": tuple(edge for edge in EDGES if edge != "gateway to model"),
    "baggage": tuple(edge for edge in EDGES if edge != "gateway to model"),
    "x-request-id": tuple(EDGES),
    "mine-bin": tuple(EDGES),
}


@pytest.mark.parametrize("edge", EDGES)
async def test_a_field_crosses_an_edge_or_stays_behind(edge: str) -> None:
    async with target() as to:

        async def handle(call: GrpcCall) -> None:
            passes = EDGES[edge]
            await call.forward(to.address, call.metadata if passes is None else passes.passed(call.metadata))

        async with world(handle) as at:
            sent: Any = [(name, b"1" if name.endswith("-bin") else "1") for name in CROSSES]
            await at.ask("/a/Who", metadata=sent)
    ((_, metadata),) = to.answering.seen
    assert {name for name in CROSSES if name in metadata} == {name for name, edges in CROSSES.items() if edge in edges}


async def test_a_call_goes_to_its_target_under_the_targets_name() -> None:
    got = bytearray()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(frames.settings({}))
        while received := await reader.read(65536):
            got.extend(received)

    async with raw_server(listen) as address, world(forward_to(address)) as at:
        talk = await Talk.to(at.port, [*CALL, (b"grpc-accept-encoding", b"gzip"), (b"user-agent", b"test")])
        await happens(lambda: b"user-agent" in got)  # the proxies of a cluster route by :authority
        await talk.disconnects()
    assert literals([(b":authority", address.encode())]) in got
    assert got.count(b"grpc-accept-encoding") == got.count(b"content-type") == got.count(b"te\x08trailers") == 1
    assert b"host" not in got


async def _echo(call: GrpcCall) -> None:
    call.respond(await call.first_message(100))
