"""Calls an ASGI application in this process, without a socket."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from switchyard.http.asgi import App, Message


@dataclass(frozen=True, kw_only=True)
class InProcessResponse:
    """A complete HTTP response."""

    status: int
    body: bytes


async def post(app: App, path: str, body: bytes, headers: Mapping[str, str]) -> InProcessResponse:
    """Post a JSON body and return the whole response.

    When the caller is cancelled, the application sees a disconnect, as with a client on a socket: vLLM ends a
    generation on ``http.disconnect``, not when the task of its handler is cancelled.
    """
    disconnected = asyncio.Event()
    parts: list[bytes] = []
    status = 500
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    work = asyncio.ensure_future(app(_scope(path, body, headers), receive, send))
    try:
        # Shielded, so that the cancellation stops here; ``finally`` then tells the application as a socket would.
        await asyncio.shield(work)
    finally:
        disconnected.set()
    return InProcessResponse(status=status, body=b"".join(parts))


def _scope(path: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
    own = {"host": "model", "content-type": "application/json", "content-length": str(len(body))}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
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
