"""Calls an ASGI application in this process, without a socket."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from switchyard.http.asgi import App, Message


@dataclass(frozen=True, kw_only=True)
class InProcessResponse:
    """A complete HTTP response."""

    status: int
    body: bytes


async def post(app: App, path: str, body: bytes, headers: Mapping[str, str]) -> InProcessResponse:
    """Post a JSON body and return the whole response."""
    parts: list[bytes] = []
    status = 500
    async with aclosing(messages(app, path, body, headers)) as sent:
        async for message in sent:
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))
    return InProcessResponse(status=status, body=b"".join(parts))


async def messages(app: App, path: str, body: bytes, headers: Mapping[str, str]) -> AsyncGenerator[Message]:
    """Post a JSON body and yield the messages of the response as they are sent.

    When the generator is closed or its caller cancelled, the application sees a disconnect, as with a client on a
    socket: vLLM ends a generation on ``http.disconnect``, not when the task of its handler is cancelled.
    """
    disconnected = asyncio.Event()
    queue: asyncio.Queue[Message | None] = asyncio.Queue()  # the model's context bounds what a generation sends
    requested = False

    async def receive() -> Message:
        nonlocal requested
        if not requested:
            requested = True
            return {"type": "http.request", "body": body, "more_body": False}
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        queue.put_nowait(message)

    work = asyncio.ensure_future(app(_scope(path, body, headers), receive, send))
    work.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (message := await queue.get()) is not None:
            yield message
        work.result()
    finally:
        disconnected.set()


def _scope(path: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    own = {"host": "model", "content-type": "application/json", "content-length": str(len(body))}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},  # from 2.4 on, Starlette would not wait for a disconnect
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in {**own, **headers}.items()],
        "client": None,
        "server": ("model", 80),
    }
