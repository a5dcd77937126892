"""Hours are counted on both ledgers, real, with a clock of the tests' own."""

import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from switchyard.gateway.usage.entries import AMOUNTS, dimensions
from switchyard.gateway.usage.hours.replicas import Replicas
from switchyard.gateway.usage.hours.watch import Watch
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Entry, Ledger, Level, Width
from switchyard.store.redis_ledger import RedisLedger
from switchyard.store.sqlite_ledger import SqliteLedger
from tests.switchyard.store.conftest import redis_server, sqlite_url, url

__all__ = ["redis_server", "sqlite_url", "url"]

HOUR: Width = 3600
START = int(time.time()) // 86400 * 86400 - 86400  # yesterday's midnight
POOL = "auto,chat"
PRICE = 2_345_678_901  # nano-dollars of an hour


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Fleet:
    """The replicas that exist, as a gateway sees them."""

    now: Mapping[str, Replicas] | None = field(default_factory=lambda: {"http://chat": Replicas(POOL, PRICE, 1)})

    def __call__(self) -> Mapping[str, Replicas] | None:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(url: str, clock: Clock) -> AsyncIterator[Ledger]:
    path = url.removeprefix("sqlite://")
    opened: Ledger = SqliteLedger(Path(path), clock=clock) if path != url else RedisLedger(url, clock=clock)
    yield opened
    await opened.aclose()


async def pass_time(clock: Clock, seconds: int, *watches: Watch) -> None:
    """Let time pass, while gateways look every five seconds."""
    for _ in range(seconds // 5):
        clock.now += 5
        for watch in watches:
            watch.tick()
            await watch.write()


async def used(ledger: Ledger, tenant: str, seconds: float, *, model: str = "chat", pool: str = POOL) -> None:
    """A call of a tenant that has just ended, and took ``seconds``."""
    amounts = dict.fromkeys(AMOUNTS, 0) | {"requests": 1, "milliseconds": round(seconds * 1000)}
    by = dimensions("completions", "", f"{tenant}-key", model, pool)
    call_id = f"{time.perf_counter_ns()}"
    await ledger.settle(tenant, call_id, (), Entry(b"{}", by, tuple(amounts.values())))


class Failing:
    """A ledger that takes so many entries, and then no more."""

    def __init__(self, inner: Ledger, takes: int) -> None:
        self._inner = inner
        self._takes = takes

    async def settle(self, *given: Any) -> tuple[Level, ...] | None:
        if self._takes == 0:
            raise StoreError("the store does not respond")
        self._takes -= 1
        return await self._inner.settle(*given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
