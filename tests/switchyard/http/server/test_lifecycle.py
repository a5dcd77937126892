"""How a serving process ends: told to stop, drained, cut at the end of its grace."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from switchyard.http.h2 import frames
from switchyard.http.server import Exchange, Server
from switchyard.http.server.lifecycle import serve_until_signal
from tests.switchyard.http.h2.raw import DEADLINE, HOST, Talk
from tests.switchyard.http.serving import GET, Wire, until

WAITS = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/waits")]
GET_WAITS = b"GET /waits HTTP/1.1\r\nHost: x\r\n\r\n"


@dataclass
class Life:
    server: Server
    port: int
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    drained: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)

    async def wire(self) -> Wire:
        self.wires.append(Wire(*await asyncio.open_connection(HOST, self.port)))
        return self.wires[-1]


@asynccontextmanager
async def living(*, drain_seconds: float = 0.0, grace_seconds: float | None = None) -> AsyncIterator[Life]:
    """A server that ends when ``stop`` is set, or by a signal; it has ended afterwards."""

    async def handle(exchange: Exchange) -> None:
        if exchange.path == b"/waits":
            await life.go_on.wait()
        exchange.respond(200, [], exchange.version.encode())

    server = Server(handle)
    life = Life(server, await server.listen(HOST, 0))
    serving = asyncio.ensure_future(
        serve_until_signal(
            server,
            drain_seconds=drain_seconds,
            grace_seconds=grace_seconds,
            on_drain=lambda: life.drained.append(server.in_flight),
            on_closed=lambda: life.closed.append(server.in_flight),
            stop=life.stop,
        )
    )
    await asyncio.sleep(0)
    yield life
    async with asyncio.timeout(DEADLINE):
        await serving
    for wire in life.wires:
        await wire.close()


async def test_what_has_begun_is_finished_in_either_protocol_and_nothing_new_is_taken() -> None:
    async with living() as life:
        new = await Talk.to(life.port, WAITS)
        old = await life.wire()
        old.send(GET_WAITS)
        await until(lambda: life.server.in_flight == 2)
        life.stop.set()
        await new.hears(frames.GOAWAY, stream=0)
        await until(lambda: life.drained == [2])
        await until(lambda: life.closed == [2])
        life.go_on.set()
        assert await new.hears(frames.DATA) == b"2"
        assert await old.answer() == (200, b"1.1")
        assert await old.rest() == b""
        await new.disconnects()


async def test_a_connection_that_says_nothing_does_not_hold_up_the_end() -> None:
    async with living() as life:
        silent, beginning, used = await life.wire(), await life.wire(), await life.wire()
        beginning.send(b"GET / HT")
        used.send(GET)
        await used.answer()
        life.stop.set()
        assert await silent.rest() == b""
        assert await used.rest() == b""
        await beginning.close()


async def test_what_still_runs_at_the_end_of_the_grace_is_cut() -> None:
    async with living(grace_seconds=0.05) as life:
        new = await Talk.to(life.port, WAITS)
        old = await life.wire()
        old.send(GET_WAITS)
        await until(lambda: life.server.in_flight == 2)
        life.stop.set()
        assert await old.rest() == b""
        await new.disconnects()
    assert life.server.in_flight == 0


async def test_while_it_drains_it_still_responds_and_asks_clients_to_go_elsewhere() -> None:
    async with living(drain_seconds=DEADLINE) as life:
        new = await Talk.to(life.port, WAITS)
        old = await life.wire()
        await until(lambda: life.server.in_flight == 1)
        os.kill(os.getpid(), signal.SIGTERM)
        last = frames.uint32(frames.MAX_WINDOW) + frames.uint32(frames.NO_ERROR)
        assert await new.hears(frames.GOAWAY, stream=0) == last
        old.send(GET)
        assert b"connection: close" in await old.head()
        late = await life.wire()
        late.send(GET)
        assert b"connection: close" in await late.head()
        assert life.closed == []
        os.kill(os.getpid(), signal.SIGTERM)  # the second ends the wait
        assert await new.hears(frames.GOAWAY, stream=0) == frames.uint32(1) + frames.uint32(frames.NO_ERROR)
        assert life.closed == [1]
        life.go_on.set()
        assert await new.hears(frames.DATA) == b"2"
        await new.disconnects()
