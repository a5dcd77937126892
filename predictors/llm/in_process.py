"""Asks an ASGI application that lives in this process, without a socket between."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from predictors.serving.admission import App, Message


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A finished HTTP answer."""

    status: int
    body: bytes


async def post(app: App, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Posts a JSON body and returns the whole answer.

    A caller that is cancelled hangs up, as a client on a socket would: vLLM ends a generation when it sees
    ``http.disconnect``, not when the task around its handler is cancelled.
    """
    left = asyncio.Event()
    parts: list[bytes] = []
    status = 500
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": body, "more_body": False}
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            parts.append(message.get("body", b""))

    work = asyncio.ensure_future(app(_scope(path, body, headers), receive, send))
    try:
        await asyncio.shield(work)
    finally:
        left.set()
    return Answer(status=status, body=b"".join(parts))


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
