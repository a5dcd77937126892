"""Gateways whose tenants have a cache, on one store, and what they are asked."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import yaml

from switchyard.gateway.tenants.file import TenantsFile
from tests.switchyard.gateway.conftest import Bench, Call
from tests.switchyard.gateway.tenants.access import KEYS, key

CHAT = "/v1/chat/completions"
PRICE = {"models": ["*"], "input": 1_000_000, "output": 1_000_000}  # a dollar for each token
GREEDY = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}


async def tenants(
    folder: Path, acme: dict[str, Any] | None = None, globex: dict[str, Any] | None = None
) -> TenantsFile:
    """acme, and globex, with these caches or fields; scraper is an administrator without a cache."""
    names = {"acme": {"cache": {}} if acme is None else acme, "globex": {"cache": {}} if globex is None else globex}
    listed = [{"name": name, "keys": [key(name)], **fields} for name, fields in names.items()]
    listed.append({"name": "watching", "keys": [key("scraper", roles=["admin"])]})
    path = folder / "tenants.yaml"
    path.write_text(yaml.safe_dump({"tenants": listed, "prices": [PRICE]}))
    file = TenantsFile(path)
    await file.load()
    return file


async def ask(
    bench: Bench, payload: dict[str, Any] | None = None, *, tenant: str = "acme", path: str = CHAT, **headers: str
) -> httpx.Response:
    """Ask as a tenant; names of headers have underscores."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    sent["authorization"] = f"Bearer {KEYS[tenant]}"
    return await bench.http.post(path, json=GREEDY if payload is None else payload, headers=sent)


def result(response: httpx.Response) -> tuple[int, str | None]:
    return response.status_code, response.headers.get("x-switchyard-cache")


class Counted:
    """A model's script that says in each response how often it was asked, and what its tokens are.

    It waits until it is ``open``.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, call: Call) -> None:
        self.asked += 1
        payload = json.loads(call.body)
        base = {"id": f"chatcmpl-{self.asked}", "created": self.asked, "model": payload["model"]}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        text = f"response {self.asked}"
        await self.open.wait()
        if not payload.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            await call.answer({**base, "object": "chat.completion", "choices": [choice], "usage": usage})
            return
        await call.start(content_type=b"text/event-stream")
        for number, word in enumerate(text.split(" ")):
            delta = {"role": "assistant", "content": word} if not number else {"content": f" {word}"}
            end = "stop" if number else None
            chunk = {**base, "object": "chat.completion.chunk"}
            chunk["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": end}]
            await call.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        if (payload.get("stream_options") or {}).get("include_usage"):
            chunk = {**base, "object": "chat.completion.chunk", "choices": [], "usage": usage}
            await call.chunk(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await call.end(b"data: [DONE]\n\n")
