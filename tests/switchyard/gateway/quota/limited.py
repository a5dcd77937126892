"""Gateways whose tenants have limits, on one ledger."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from switchyard.gateway.tenants.file import TenantsFile
from switchyard.store.contract import StoreError
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Denial, Entry, Grant, Ledger, Level
from tests.switchyard.gateway.conftest import Bench, Call, Script, completion, gateway
from tests.switchyard.gateway.tenants.access import KEYS, key

HEADERS = {"authorization": f"Bearer {KEYS['acme']}"}
METADATA = (("authorization", f"Bearer {KEYS['acme']}"),)

PRICE = {"models": ["*"], "input": 1000, "output": 5000}  # dollars for a million tokens


async def tenants(folder: Path, *limits: dict[str, Any], **of_key: Any) -> TenantsFile:
    """Tenant acme with ``limits``, and with a key that has the fields ``of_key``; globex has none."""
    acme = {"name": "acme", "timezone": "Europe/Berlin", "limits": [*limits], "keys": [key("acme", **of_key)]}
    watching = {"name": "watching", "keys": [key("scraper", roles=["admin"])]}
    path = folder / "tenants.yaml"
    path.write_text(
        yaml.safe_dump({"tenants": [acme, watching, {"name": "globex", "keys": [key("globex")]}], "prices": [PRICE]})
    )
    file = TenantsFile(path)
    await file.load()
    return file


@asynccontextmanager
async def ledger(url: str) -> AsyncIterator[Ledger]:
    opened = open_ledger(url)
    try:
        yield opened
    finally:
        await opened.aclose()


@asynccontextmanager
async def limited(
    folder: Path, url: str, *limits: dict[str, Any], script: Script = completion, of_key: dict[str, Any] | None = None
) -> AsyncIterator[Bench]:
    """A gateway whose tenant acme has ``limits``, on the ledger of ``url``."""
    async with (
        ledger(url) as opened,
        gateway(folder, script, tenants=await tenants(folder, *limits, **(of_key or {})), ledger=opened) as bench,
    ):
        bench.http.headers.update(HEADERS)
        yield bench


async def metric(bench: Bench, line: str) -> bool:
    scraper = {"authorization": f"Bearer {KEYS['scraper']}"}
    return line in (await bench.http.get("/metrics", headers=scraper)).text.splitlines()


def counting(prompt: int, output: int, *, cached: int = 0) -> Script:
    """A model that counted so many tokens."""

    async def script(call: Call) -> None:
        choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
        usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}
        usage |= {"prompt_tokens_details": {"cached_tokens": cached}}
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": "chat"}
        await call.answer({**whole, "choices": [choice], "usage": usage})

    return script


class Away:
    """A ledger in front of another one, which can be away and keeps what was settled."""

    def __init__(self, inner: Ledger) -> None:
        self._inner = inner
        self.away = False
        self.reserved = 0
        self.settled: list[tuple[str, dict[str, int]]] = []
        self.renewed: list[Sequence[str]] = []
        self.settling = asyncio.Event()

    async def reserve(self, owner: str, call_id: str, claims: Sequence[Claim], *, lease: float) -> Grant | Denial:
        self.reserved += 1
        self._check()
        return await self._inner.reserve(owner, call_id, claims, lease=lease)

    async def renew(self, owner: str, call_ids: Sequence[str], *, lease: float) -> None:
        self._check()
        self.renewed.append(call_ids)
        await self._inner.renew(owner, call_ids, lease=lease)

    async def settle(
        self, owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None
    ) -> tuple[Level, ...] | None:
        self._check()
        levels = await self._inner.settle(owner, call_id, claims, entry)
        self.settled.append((call_id, {claim.counter.split()[1]: claim.amount for claim in claims}))
        self.settling.set()
        return levels

    def _check(self) -> None:
        if self.away:
            raise StoreError("the store does not respond")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
