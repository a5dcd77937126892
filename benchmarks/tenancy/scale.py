"""``python -m benchmarks.tenancy.scale``: 100,000 keys of 10,000 tenants against 10 keys of 10 tenants.

Two gateways with the same limits, each with a SQLite store of its own, run through all rounds. Calls come from 1,000
tenants in no order, or from all ten. A reload is measured from the moment when the file is replaced until the key that
it adds is valid, while other calls come 50 times a second: the longest of these waits is shown, beside that of the same
time without a reload.
"""

import argparse
import asyncio
import os
import random
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.report import Figure, publish, ratios
from benchmarks.tenancy.clients import Connection, chat
from benchmarks.tenancy.cost import LIMITS
from benchmarks.tenancy.platform import Process, Starter, store_url, tenant, write_tenants

FEW, MANY = 10, 10_000  # tenants
KEYS = 10  # of each of the many
_ASKING = 1000  # tenants of the many
_CLIENTS = 32
_GAP_SECONDS = 0.02
_MODEL = "m"


class Gateway:
    """A gateway, its file of tenants, and requests of some of them."""

    def __init__(self, starter: Starter, name: str, tenants: int, keys: int) -> None:
        self.path = starter.folder / f"{name}.json"
        made = [tenant(f"tenant-{number}", LIMITS) for number in range(tenants)]
        self.wires = [chat(key, _MODEL) for key, _ in random.sample(made, min(tenants, _ASKING))]
        self._tenants = [_with_keys(one, keys) for _, one in made]
        write_tenants(self.path, self._tenants)
        store, _ = store_url("sqlite", starter, name=name)
        self.process: Process = starter.gateway(f"gateway-{name}", tenants=self.path, store=store)

    async def busy(self, seconds: float) -> int:
        """Let every client ask again as soon as it has a response; return how many there were."""
        end = time.perf_counter() + seconds

        async def run() -> int:
            connection, count = Connection(self.process.port), 0
            while time.perf_counter() < end:
                await _ask(connection, random.choice(self.wires))
                count += 1
            connection.close()
            return count

        return sum(await asyncio.gather(*(run() for _ in range(_CLIENTS))))

    async def longest_wait_ms(self, during: asyncio.Task[Any]) -> float:
        """Ask steadily until ``during`` has ended."""
        connection, longest = Connection(self.process.port), 0.0
        while not during.done():
            await asyncio.sleep(_GAP_SECONDS)
            began = time.perf_counter()
            await _ask(connection, random.choice(self.wires))
            longest = max(longest, time.perf_counter() - began)
        connection.close()
        return 1000 * longest

    def write_next(self) -> str:
        """Write a file with another key beside the one that is in force; return the key."""
        key, one = tenant(f"new-{time.time_ns()}", LIMITS)
        self._tenants.append(one)
        write_tenants(self.path.with_suffix(".next"), self._tenants)
        return key

    async def reload_seconds(self, key: str) -> float:
        """Put the next file in force; return how long it takes until ``key`` is valid."""
        began = time.perf_counter()
        self.path.with_suffix(".next").rename(self.path)
        connection = Connection(self.process.port)
        while (await connection.ask(chat(key, _MODEL)))[0] != 200:  # noqa: ASYNC110 - no event tells
            await asyncio.sleep(_GAP_SECONDS)
        connection.close()
        return time.perf_counter() - began


def _with_keys(one: dict[str, Any], keys: int) -> dict[str, Any]:
    """Return a tenant with so many keys; nobody has the others."""
    others = [{"id": f"{one['name']}-{number}", "sha256": os.urandom(32).hex()} for number in range(1, keys)]
    return {**one, "keys": [*one["keys"], *others]}


async def _ask(connection: Connection, wire: bytes) -> None:
    status, _, body = await connection.ask(wire)
    if status != 200:
        raise RuntimeError(f"{status}: {body.decode()}")


async def _reload(gateway: Gateway, key: str) -> tuple[float, float, float]:
    """Return the seconds of a reload, and the longest waits with and without one in milliseconds."""
    reload = asyncio.ensure_future(gateway.reload_seconds(key))
    with_one = await gateway.longest_wait_ms(reload)
    seconds = await reload
    return seconds, with_one, await gateway.longest_wait_ms(asyncio.ensure_future(asyncio.sleep(seconds)))


def _busy_ms(gateway: Gateway, seconds: float) -> float:
    """Return the processor time of a chat."""
    before = gateway.process.tree.cpu_ms()
    count: int = uvloop.run(gateway.busy(seconds))
    return (gateway.process.tree.cpu_ms() - before) / count


def _rounds(few: Gateway, many: Gateway, rounds: int, seconds: float) -> dict[str, list[float]]:
    values: dict[str, list[float]] = {}

    def add(**measured: float) -> None:
        for name, value in measured.items():
            values.setdefault(name, []).append(value)

    for gateway in (few, many):
        uvloop.run(gateway.busy(seconds))  # warm-up: every tenant has its counters
    for _ in range(rounds):
        add(few=_busy_ms(few, seconds), many=_busy_ms(many, seconds))
        add(memory=many.process.tree.pss_mb() - few.process.tree.pss_mb())
    for _ in range(rounds):
        reload, with_one, without = uvloop.run(_reload(many, many.write_next()))
        add(reload=reload, wait=with_one, without=without)
        add(memory_after=many.process.tree.pss_mb() - few.process.tree.pss_mb())
    return values


def _figures(values: Mapping[str, Sequence[float]]) -> list[Figure]:
    def figure(name: str, unit: str, key: str, target: str = "") -> Figure:
        return Figure(name=name, unit=unit, values=tuple(values[key]), target=target)

    ratio = ratios(values["many"], values["few"])
    return [
        Figure(name="processor time per chat, against 10 keys", unit="x", values=ratio, target="<= 1.05"),
        figure("the same with 10 keys", "ms", "few"),
        figure("more memory", "MB PSS", "memory", "<= 60"),
        figure("the same after reloads", "MB PSS", "memory_after"),
        figure("reload, from the file's change until it is in force", "s", "reload", "<= 1"),
        figure("the longest wait of a request meanwhile", "ms", "wait"),
        figure("the same without a reload", "ms", "without"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        starter = Starter(stack, Path(folder))
        model = starter.model(_MODEL)
        few, many = Gateway(starter, "few", FEW, 1), Gateway(starter, "many", MANY, KEYS)
        for process in (model, few.process, many.process):
            process.wait()
        size = many.path.stat().st_size
        values = _rounds(few, many, options.rounds, options.seconds)
    setting = {"rounds": options.rounds, "seconds": options.seconds, "bytes": size}
    publish("tenancy.scale", _figures(values), setting)


if __name__ == "__main__":
    main()
