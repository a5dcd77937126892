"""A server of WebSockets under test, and clients that send exact bytes or frames of wsproto's own client."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from wsproto.connection import Connection, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage

from switchyard.http.server import Exchange, Server, ServerLimits
from switchyard.http.server.websocket.connection import WebSocket
from switchyard.http.tls import WatchedTls

SocketHandler = Callable[[WebSocket], Awaitable[None]]
KEY, ACCEPTED = b"dGhlIHNhbXBsZSBub25jZQ==", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3


def handshake(**changed: bytes) -> bytes:
    """An opening handshake with ``changed`` headers, whose names have underscores; an empty value leaves one out."""
    headers = {b"host": b"x", b"upgrade": b"websocket", b"connection": b"Upgrade"}
    headers |= {b"sec-websocket-key": KEY, b"sec-websocket-version": b"13"}
    headers |= {name.replace("_", "-").encode(): value for name, value in changed.items()}
    lines = b"".join(b"%b: %b\r\n" % header for header in headers.items() if header[1])
    return b"GET /socket HTTP/1.1\r\n" + lines + b"\r\n"


class SocketWire:
    """A client that has shaken hands: sends bytes, and reads frames by wsproto."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.frames = Connection(ConnectionType.CLIENT)
        self._events: list[Event] = []

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def say(self, *texts: str) -> None:
        self.send(b"".join(self.frames.send(TextMessage(data=text)) for text in texts))

    async def event(self, seconds: float = 5.0) -> Event:
        """The server's next frame, of which text is joined."""
        text = ""
        async with asyncio.timeout(seconds):
            while True:
                while self._events:
                    event = self._events.pop(0)
                    if not isinstance(event, TextMessage):
                        return event
                    text += event.data
                    if event.message_finished:
                        return TextMessage(data=text)
                data = await self.reader.read(65536)
                if not data:
                    raise EOFError
                self.frames.receive_data(data)
                self._events += self.frames.events()

    async def text(self) -> str:
        event = await self.event()
        assert isinstance(event, TextMessage), event
        return event.data

    async def closed(self, *, pongs: bool = True) -> int:
        """The code of the server's CLOSE, after whatever comes before; 0 if the connection is cut without."""
        with suppress(EOFError, ConnectionError):
            while True:
                event = await self.event()
                if isinstance(event, CloseConnection):
                    return int(event.code)
                if isinstance(event, Ping) and pongs:
                    self.send(self.frames.send(event.response()))
        return 0


class SocketServer:
    """A server whose path /socket takes WebSockets."""

    def __init__(self, server: Server, port: int) -> None:
        self.server = server
        self.port = port
        self.wires: list[SocketWire] = []

    async def raw(self) -> SocketWire:
        wire = SocketWire(*await asyncio.open_connection("127.0.0.1", self.port))
        self.wires.append(wire)
        return wire

    async def open(self, **changed: bytes) -> SocketWire:
        wire = await self.raw()
        wire.send(handshake(**changed))
        async with asyncio.timeout(5):
            head = await wire.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head
        return wire


async def echo(socket: WebSocket) -> None:
    while True:
        socket.send(await socket.receive())
        await socket.writable()


@asynccontextmanager
async def serving_sockets(
    handler: SocketHandler = echo, limits: ServerLimits | None = None, tls: WatchedTls | None = None
) -> AsyncIterator[SocketServer]:
    """A running server; a request that is no handshake gets its method and path, as text."""

    async def handle(exchange: Exchange) -> None:
        if exchange.upgrades:
            await handler(exchange.accept_websocket([(b"x-request-id", b"1")]))
        else:
            exchange.respond(200, [], exchange.method + b" " + exchange.target + b" " + await exchange.body(2**20))

    server = Server(handle, limits, tls=tls, websocket_paths=(b"/socket",))
    running = SocketServer(server, await server.listen("127.0.0.1", 0))
    try:
        yield running
    finally:
        for wire in running.wires:
            wire.writer.close()
        await server.aclose()
