"""Clients that are slow, or only begin, over TLS: each connection ends within its limit, and others are served."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from switchyard.http.h2 import frames
from switchyard.http.server import Exchange, Server, ServerLimits
from switchyard.http.tls import TlsFiles, WatchedTls
from tests.switchyard.http.certificates import Authority
from tests.switchyard.http.h2.raw import DEADLINE, HOST
from tests.switchyard.http.serving import until

# A connection is idle later than its headers are late, so that the same limit always ends it.
LIMITS = ServerLimits(
    header_seconds=0.5, read_seconds=0.5, idle_seconds=2, stall_seconds=0.5, linger_seconds=0.2, connections=100
)
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n"
H2 = frames.PREFACE + frames.settings({})
MANY = 60

# What a client sends before it stops, and how the server ends that: by a status, by GOAWAY, or without a word.
BEGINNINGS = {
    "no request": (b"", b""),
    "a part of the headers": (GET[:-2], b"HTTP/1.1 408"),
    "a part of the body": (POST + b"x", b"HTTP/1.1 408"),
    "a whole request and no other": (GET, b"HTTP/1.1 200"),
    "a part of HTTP/2's preface": (frames.PREFACE[:10], b""),
    "HTTP/2 without a request": (H2, b"\0\0\x08\7\0"),
    "a part of HTTP/2's headers": (H2 + frames.frame_header(1, frames.HEADERS, 0, 1) + b"\x82", b"not complete within"),
    "a part of a frame": (H2 + frames.frame_header(100, frames.HEADERS, 4, 1) + b"\x82", b"not complete within"),
}


@dataclass
class Bench:
    """A server with TLS, and a client's context that knows it."""

    server: Server
    port: int
    known: ssl.SSLContext

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(DEADLINE):
            while True:  # on a busy machine even a good handshake may take longer than the limit
                with suppress(OSError):
                    return await asyncio.open_connection(HOST, self.port, ssl=self.known, server_hostname="localhost")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    authority = Authority("ours", tmp_path)
    served = authority.issue("server")
    async with _serving(TlsFiles(served.certificate, served.key)) as (server, port):
        yield Bench(server, port, ssl.create_default_context(cafile=str(authority.path)))


@asynccontextmanager
async def _serving(files: TlsFiles) -> AsyncIterator[tuple[Server, int]]:
    server = Server(_respond, LIMITS, tls=WatchedTls(files, lambda valid, expires: None))
    try:
        yield server, await server.listen(HOST, 0)
    finally:
        await server.aclose()


async def _respond(exchange: Exchange) -> None:
    """Respond once the body has come; under /endless, without end."""
    body = await exchange.body(2000)
    if exchange.target != b"/endless":
        exchange.respond(200, [], body)
        return
    exchange.start(200, [])
    while True:
        exchange.write(bytes(65536))
        await exchange.drain()
        await asyncio.sleep(0)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """All that the server sends until it closes the connection."""
    answer = b""
    async with asyncio.timeout(DEADLINE):
        with suppress(OSError):
            while data := await reader.read(65536):
                answer += data
    return answer


@pytest.mark.parametrize(("sent", "end"), BEGINNINGS.values(), ids=BEGINNINGS)
async def test_what_does_not_go_on_ends_within_its_limit(bench: Bench, sent: bytes, end: bytes) -> None:
    reader, writer = await bench.connect()
    writer.write(sent)
    assert end in await _rest(reader)
    writer.close()
    await until(lambda: not bench.server.in_flight)


async def test_a_client_that_takes_no_response_is_disconnected(bench: Bench) -> None:
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.setblocking(False)
    await asyncio.get_running_loop().sock_connect(small, (HOST, bench.port))
    _, writer = await asyncio.open_connection(sock=small, ssl=bench.known, server_hostname="localhost", limit=1024)
    writer.write(GET.replace(b"GET /", b"GET /endless"))
    await until(lambda: bool(bench.server.in_flight), DEADLINE)
    await until(lambda: not bench.server.in_flight, DEADLINE)
    writer.transport.abort()


async def test_a_handshake_byte_by_byte_has_no_more_time_than_one_that_stops(bench: Bench) -> None:
    out = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        bench.known.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost").do_handshake()
    hello = out.read()
    reader, writer = await asyncio.open_connection(HOST, bench.port)
    reading = asyncio.create_task(_rest(reader))
    sent = 0
    while not reading.done() and sent < len(hello) - 1:
        writer.write(hello[sent : sent + 1])
        sent += 1
        await asyncio.wait([reading], timeout=0.02)
    assert await reading == b""
    assert sent < len(hello) - 1
    writer.close()


async def test_a_client_that_ends_without_saying_so_leaves_nothing(bench: Bench) -> None:
    for sent in (b"", GET[:10], POST, H2, GET.replace(b"GET /", b"GET /endless")):
        _, writer = await bench.connect()
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()  # no close_notify
    await until(lambda: not bench.server.in_flight, DEADLINE)


async def test_many_slow_clients_keep_nobody_out(bench: Bench) -> None:
    slow = [await bench.connect() for _ in range(MANY)]
    for number, (_, writer) in enumerate(slow):
        writer.write((GET[:-2], POST, H2)[number % 3])
    reader, writer = await bench.connect()
    writer.write(GET)
    async with asyncio.timeout(DEADLINE):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    await asyncio.gather(*(_rest(one) for one, _ in slow))
    for _, other in (*slow, (reader, writer)):
        other.close()
    await until(lambda: not bench.server.in_flight, DEADLINE)
