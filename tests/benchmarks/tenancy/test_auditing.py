"""What ``benchmarks.tenancy.kills`` would say of a ledger that differs from what clients saw."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.tenancy.auditing import Audit, audit
from benchmarks.tenancy.clients import Seen
from benchmarks.tenancy.platform import tenant, write_tenants
from switchyard.gateway.quota.claims import applied
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.usage.entries import AMOUNTS
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Entry, Ledger

TOKENS = 8
LIMITS = [
    {"limit": "in_flight", "most": 10},
    {"limit": "requests", "most": 1000, "per": "month"},
    {"limit": "tokens", "most": 1000, "per": "month"},
    {"limit": "requests", "most": 1000, "per": "minute"},
]


class Bench:
    """A ledger, what clients saw, and what calls take of it."""

    def __init__(self, ledger: Ledger, path: Path, key: str) -> None:
        self.ledger, self.path, self.key = ledger, path, key
        self.seen = Seen()

    async def claims(self, tokens: int) -> list[Claim]:
        file = TenantsFile(self.path)
        await file.load()
        limits = applied(file.current.find(self.key.encode(), time.time), "m", time.time())
        return [one.claim(tokens if one.limit.unit == "tokens" else 1) for one in limits]

    async def call(self, request_id: str, *, tokens: int = TOKENS, outcome: str = "ok", times: int = 1) -> None:
        """Settle a call, under a new id each of the ``times``."""
        amounts = dict.fromkeys(AMOUNTS, 0) | {"requests": 1, "completion_tokens": tokens}
        row: dict[str, Any] = {"request_id": request_id, "outcome": outcome, **amounts}
        for number in range(times):
            entry = Entry(json.dumps(row).encode(), "", tuple(amounts.values()))
            await self.ledger.settle("acme", f"{request_id} {number}", await self.claims(tokens), entry)

    async def audit(self) -> Audit:
        return await audit(
            self.ledger, self.path, self.key, "m", self.seen, now=time.time(), tokens=TOKENS, counted=True
        )


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    key, one = tenant("acme", LIMITS)
    write_tenants(tmp_path / "tenants.yaml", [one])
    ledger = open_ledger(f"sqlite://{tmp_path}/ledger.db")
    made = Bench(ledger, tmp_path / "tenants.yaml", key)
    made.seen.fates = {"one": "complete", "cut": "cut", "failed": "failed"}
    await made.call("one")
    yield made
    await ledger.aclose()


async def test_a_ledger_that_has_what_clients_saw_has_no_faults(bench: Bench) -> None:
    await bench.call("cut")
    found = await bench.audit()
    assert (found.faults, found.complete, found.unseen) == (0, 1, 1)


async def test_each_difference_is_a_fault(bench: Bench) -> None:
    bench.seen.fates["none"] = bench.seen.fates["two"] = bench.seen.fates["few"] = "complete"
    await bench.call("two", times=2)
    await bench.call("few", tokens=1)
    await bench.call("failed")
    await bench.call("nobody")
    found = await bench.audit()
    assert (found.missing, found.twice, found.wrong) == (["none"], ["two"], ["few"])
    assert found.invented == ["failed", "nobody"]
    assert found.faults == 5


async def test_a_reservation_that_stays_is_one_and_what_was_charged_without_a_row(bench: Bench) -> None:
    await bench.ledger.settle("acme", "silent", await bench.claims(3), None)
    await bench.ledger.reserve("acme", "left", await bench.claims(4), lease=60)
    found = await bench.audit()
    assert (found.held, found.counters) == (1, {"requests": 2, "tokens": 7})
    assert found.faults == 3
