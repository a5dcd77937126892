"""An ASGI application on the server, for tests to ask in HTTP/2."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from switchyard.http.asgi import Receive, Scope, Send
from switchyard.http.asgi.serving import handler_of
from switchyard.http.h2.fields import Field
from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.http.server import Handler, Server, ServerLimits
from switchyard.http.server.http2_connection import Http2Connection
from switchyard.http.server.http2_exchange import UNSENT_BYTES
from tests.switchyard.http.h2.raw import DEADLINE, HOST

GET = [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"x"), (b":path", b"/echo")]
POST = [(b":method", b"POST"), *GET[1:]]
CHUNK = bytes(UNSENT_BYTES // 4)
LARGE = 12_000_000


@dataclass
class App:
    """Answers by the path; keeps what it saw."""

    scopes: list[Scope] = field(default_factory=list)
    sent: int = 0
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        self.entered.set()
        await getattr(self, scope["path"].strip("/"))(receive, send)

    async def echo(self, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            body += message["body"]
            more = message["more_body"]
        size = b"%d" % len(body)
        await _start(send, (b"Content-Length", size), (b"connection", b"close"))
        await send({"type": "http.response.body", "body": body})
        assert (await receive())["type"] == "http.disconnect"

    async def early(self, receive: Receive, send: Send) -> None:
        """Answers without a look at the body."""
        await _start(send)
        await send({"type": "http.response.body", "body": b"no need"})

    async def chunks(self, receive: Receive, send: Send) -> None:
        """Sends one, and another once it is told to."""
        await _start(send)
        await send({"type": "http.response.body", "body": b"one ", "more_body": True})
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"two", "more_body": True})
        await send({"type": "http.response.body"})

    async def endless(self, receive: Receive, send: Send) -> None:
        """Sends until its client has left."""
        await _start(send)

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            self.left.set()

        watching = asyncio.ensure_future(watch())
        while not self.left.is_set():
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            self.sent += len(CHUNK)
            await asyncio.sleep(0)
        await watching

    async def begins(self, receive: Receive, send: Send) -> None:
        """Says that it will answer, and what once it is told to."""
        await _start(send)
        await self.go_on.wait()
        await send({"type": "http.response.body", "body": b"at last"})

    async def lingers(self, receive: Receive, send: Send) -> None:
        """Goes on when it has answered."""
        await self.early(receive, send)
        await self.go_on.wait()

    async def large(self, receive: Receive, send: Send) -> None:
        await _start(send)
        await send({"type": "http.response.body", "body": bytes(LARGE)})

    async def cancelled(self, receive: Receive, send: Send) -> None:
        """Something that it awaited was given up, without a look at the body."""
        await self.go_on.wait()
        raise asyncio.CancelledError

    async def fails(self, receive: Receive, send: Send) -> None:
        raise ValueError("a secret of the application")

    async def breaks(self, receive: Receive, send: Send) -> None:
        await _start(send)
        await send({"type": "http.response.body", "body": b"beginning", "more_body": True})

    async def waits(self, receive: Receive, send: Send) -> None:
        await self.go_on.wait()
        await _start(send)
        await send({"type": "http.response.body", "body": b"after all"})


async def _start(send: Send, *headers: Field) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": headers})


class RecordingServer(Server):
    """Keeps its connections after their end."""

    def __init__(self, handler: Handler, limits: ServerLimits | None = None, *, rpc: RpcHandler | None = None) -> None:
        super().__init__(handler, limits, rpc=rpc)
        self.made: list[Http2Connection] = []

    def opened(self, connection: object) -> None:
        super().opened(connection)  # type: ignore[arg-type]
        if isinstance(connection, Http2Connection):
            self.made.append(connection)


@dataclass
class World:
    app: App
    port: int
    client: httpx.AsyncClient
    server: Server
    connections: list[Http2Connection]


@asynccontextmanager
async def world(limits: ServerLimits | None = None, *, rpc: RpcHandler | None = None) -> AsyncIterator[World]:
    app = App()
    server = RecordingServer(handler_of(app), limits, rpc=rpc)
    port = await server.listen(HOST, 0)
    client = httpx.AsyncClient(
        base_url=f"http://{HOST}:{port}", http1=False, http2=True, trust_env=False, timeout=DEADLINE
    )
    try:
        async with client:
            yield World(app, port, client, server, server.made)
    finally:
        app.go_on.set()
        async with asyncio.timeout(DEADLINE):
            await server.aclose()
