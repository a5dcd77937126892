"""Clients of the gateway's WebSocket: the library ``websockets``, with messages as objects."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import websockets
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from tests.switchyard.gateway.conftest import Bench, Call

BODY: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}


class Socket:
    """An open socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def chat(self, identifier: str, *, stream: bool = True, headers: Any = None, **fields: Any) -> None:
        more = {} if headers is None else {"headers": headers}
        await self.say(id=identifier, type="chat", body={**BODY, "stream": stream, **fields}, **more)

    async def heard(self) -> dict[str, Any]:
        async with asyncio.timeout(5):
            message: dict[str, Any] = json.loads(await self.connection.recv())
        return message

    async def until_end(self, identifier: str) -> list[dict[str, Any]]:
        """What is heard of a request, up to its last message; nothing of others may come."""
        heard: list[dict[str, Any]] = []
        while not heard or not {"done", "error"} & heard[-1].keys():
            heard.append(await self.heard())
            assert heard[-1]["id"] == identifier
        return heard

    async def closed(self) -> tuple[int, str]:
        """The close code and its reason; what comes before is dropped."""
        async with asyncio.timeout(5):
            try:
                while True:
                    await self.connection.recv()
            except websockets.ConnectionClosed:
                pass
        return self.connection.close_code or 0, self.connection.close_reason or ""


@asynccontextmanager
async def connect(bench: Bench, *subprotocols: str, path: str = "/v1/stream", **options: Any) -> AsyncIterator[Socket]:
    """A socket of a gateway; ``options`` are those of ``websockets.connect``."""
    offered = [Subprotocol(name) for name in subprotocols] or None
    url = bench.url.replace("http", "ws") + path
    async with websockets.connect(url, subprotocols=offered, close_timeout=1, **options) as connection:
        yield Socket(connection)


async def endless(call: Call) -> None:
    """A model that streams as fast as it is read, until the gateway leaves."""
    gone = asyncio.ensure_future(call.disconnected())
    await call.start(content_type=b"text/event-stream")
    while not gone.done():
        await call.chunk(b'data: {"text": "' + b"a" * 2000 + b'"}\n\n')
        await asyncio.sleep(0)
