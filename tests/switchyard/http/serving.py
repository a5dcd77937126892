"""A server under test and a client that sends exact bytes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from switchyard.http.server import Exchange, Handler, Server, ServerLimits

TEXT = (b"content-type", b"text/plain")
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD_OF_CHUNKS = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def post(body: bytes, *lines: bytes) -> bytes:
    head = b"".join(line + b"\r\n" for line in lines)
    return b"POST /echo HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


async def echo(exchange: Exchange) -> None:
    exchange.respond(200, [TEXT], exchange.method + b" " + exchange.target + b" " + await exchange.body(2**20))


class Wire:
    """One connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        """The next answer's head without its date, names in lower case."""
        async with asyncio.timeout(5):
            lines = (await self.reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        return b"\r\n".join(line for line in lines if not line.startswith(b"date: "))

    async def exactly(self, size: int) -> bytes:
        async with asyncio.timeout(5):
            return await self.reader.readexactly(size)

    async def answer(self) -> tuple[int, bytes]:
        """Status and body of the next answer with a content-length or in chunks."""
        head = await self.head()
        status = int(head[9:12])
        if b"transfer-encoding: chunked" in head:
            body = b""
            while chunk := await self.chunk():
                body += chunk
            return status, body
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        return status, await self.exactly(length)

    async def chunk(self) -> bytes:
        """The next chunk, empty for the last."""
        async with asyncio.timeout(5):
            size = int(await self.reader.readline(), 16)
            return (await self.reader.readexactly(size + 2))[:-2]

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        async with asyncio.timeout(5):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class Running:
    """A server on a free port."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.wires: list[Wire] = []

    async def wire(self) -> Wire:
        """A new connection, closed in the end."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        self.wires.append(wire)
        return wire

    async def ask(self, data: bytes) -> tuple[int, bytes]:
        """The answer to ``data`` on a connection of its own."""
        wire = await self.wire()
        wire.send(data)
        return await wire.answer()


@asynccontextmanager
async def serving(handler: Handler, limits: ServerLimits | None = None) -> AsyncIterator[Running]:
    """A running server with ``handler``."""
    server = Server(handler, limits)
    running = Running(server, await server.listen("127.0.0.1", 0))
    try:
        yield running
    finally:
        for wire in running.wires:
            await wire.close()
        await server.aclose()


async def until(condition: object, seconds: float = 5.0) -> None:
    """Returns when ``condition`` holds; fails the test when it does not in time."""
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)
