"""``python -m benchmarks.tenancy.kills``: gateways, Redis and the model are killed in turn while clients ask.

Three gateways share a store. Two tenants ask, one whose limits are ``closed`` while the store is away, and one whose
limits are ``open``. Each process is killed once what was kept for the store while it was away has been written: a
gateway that is killed then loses it. Every client knows of each request whether it saw the whole response. Then the
ledger is compared with that (``benchmarks.tenancy.auditing``), after the leases of killed gateways have ended. Redis
writes each command to its file before it responds (``appendfsync always``), and is started again at once, as a pod is.
``--check`` fails where anything differs.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.report import Figure, publish
from benchmarks.tenancy.auditing import Audit, audit
from benchmarks.tenancy.clients import Client, Connection, Seen, chat, until
from benchmarks.tenancy.platform import STORES, Starter, store_url, tenant, write_tenants
from switchyard.gateway.quota.reservations import LEASE_SECONDS
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Ledger

MODEL = "m40"
TOKENS = 8
WITHOUT_STORE = ("closed", "open")
_AFTER = 3  # responses that each client sees between two kills


class Platform:
    """The processes, an operator, and two tenants with a key each."""

    def __init__(self, starter: Starter, store: str, gateways: int = 3) -> None:
        self.tenants = starter.folder / "tenants.yaml"
        self.operator, operator = tenant("operator", roles=["admin"])
        made = {name: tenant(name, _limits(name)) for name in WITHOUT_STORE}
        self.keys = {name: key for name, (key, _) in made.items()}
        write_tenants(self.tenants, [operator, *(one for _, one in made.values())])
        self.store, redis = store_url(store, starter, fsync="always")
        self.victims = {"model": [starter.model(MODEL)], "redis": [redis] if redis else []}
        self.victims["gateway"] = [
            starter.gateway(f"gateway-{number}", tenants=self.tenants, store=self.store) for number in range(gateways)
        ]
        for processes in self.victims.values():
            for process in processes:
                process.wait()

    def ledger(self, ahead: float) -> Ledger:
        """Open the ledger of the gateways, with a clock that is ``ahead`` seconds."""
        if not ahead:
            return open_ledger(self.store)
        from switchyard.store.redis_ledger import RedisLedger
        from switchyard.store.sqlite_ledger import SqliteLedger

        def clock() -> float:
            return time.time() + ahead

        if self.store.startswith("redis"):
            return RedisLedger(self.store, clock=clock)
        return SqliteLedger(Path(self.store.removeprefix("sqlite://")), clock=clock)


def _limits(without_store: str) -> Iterator[dict[str, Any]]:
    for limit in ({"limit": "in_flight"}, {"limit": "requests", "per": "month"}, {"limit": "tokens", "per": "month"}):
        yield {**limit, "most": 10**12, "without_store": without_store}
    yield {"limit": "requests", "per": "minute", "most": 10**6, "without_store": without_store}


@contextmanager
def running(folder: Path, store: str, gateways: int = 3) -> Iterator[Platform]:
    """Start all processes, and stop them."""
    with ExitStack() as stack:
        yield Platform(Starter(stack, folder), store, gateways)


async def kill_in_turn(platform: Platform, kills: int, clients: int) -> dict[str, Seen]:
    """Kill and start again ``kills`` processes while ``clients`` of each tenant ask; return what each tenant saw."""
    seen = {name: Seen() for name in WITHOUT_STORE}
    gateways = platform.victims["gateway"]
    asking = [
        Client(f"{name}-{number}", gateways[number % len(gateways)].port, partial(_wire, platform.keys[name]), one)
        for name, one in seen.items()
        for number in range(clients)
    ]
    running = [asyncio.ensure_future(client.run()) for client in asking]
    turns = {name: cycle(processes) for name, processes in platform.victims.items() if processes}
    await _answered(asking, "the first kill")
    for victim in islice(cycle(turns), kills):
        process = next(turns[victim])
        process.kill()
        process.start()
        await asyncio.to_thread(process.wait)
        await _answered(asking, f"responses after a {victim} was killed")
        await asyncio.gather(*(_written(gateway.port, platform.operator) for gateway in gateways))
    for client in asking:
        client.stopped = True
    await asyncio.gather(*running)
    return seen


async def _answered(asking: list[Client], what: str) -> None:
    before = [client.complete for client in asking]
    await until(
        lambda: all(client.complete >= count + _AFTER for client, count in zip(asking, before, strict=True)), what
    )


async def _written(port: int, operator: str) -> None:
    """Wait until a gateway keeps nothing for its store."""
    connection = Connection(port)
    wire = f"GET /metrics HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {operator}\r\n\r\n".encode()
    try:
        async with asyncio.timeout(120):
            while b"\ngateway_usage_waiting 0.0\n" not in (await connection.ask(wire))[2]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        connection.close()


def _wire(key: str, request_id: str, number: int) -> bytes:
    return chat(key, MODEL, tokens=TOKENS, request_id=request_id, stream=number % 2 == 0)


async def audits(platform: Platform, seen: dict[str, Seen], *, ahead: float = 0.0) -> dict[str, Audit]:
    """Compare the ledger with what each tenant saw, by a clock that is ``ahead`` seconds."""
    ledger = platform.ledger(ahead)
    try:
        return {
            name: await audit(
                ledger,
                platform.tenants,
                platform.keys[name],
                MODEL,
                one,
                now=time.time() + ahead,
                tokens=TOKENS,
                counted=name == "closed" or not platform.victims["redis"],
            )
            for name, one in seen.items()
        }
    finally:
        await ledger.aclose()


async def _one_store(store: str, kills: int, clients: int) -> dict[str, Audit]:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), store) as started:
        seen = await kill_in_turn(started, kills, clients)
        await asyncio.sleep(LEASE_SECONDS + 1)
        found = await audits(started, seen)
    for name, one in found.items():
        print(f"{store}, {name}: {seen[name].statuses}, {len(seen[name].of('cut'))} cut; {one}", flush=True)
    return found


def _figures(store: str, found: list[Audit]) -> Iterator[Figure]:
    def figure(name: str, values: list[float], target: str = "") -> Figure:
        return Figure(name=f"{store}: {name}", unit="", values=tuple(values), target=target)

    yield figure("complete responses", [one.complete for one in found])
    yield figure(
        "of these without a row, or with a wrong one", [len(one.missing) + len(one.wrong) for one in found], "0"
    )
    yield figure("calls that were charged twice", [len(one.twice) for one in found], "0")
    yield figure("rows of calls that failed or were not sent", [len(one.invented) for one in found], "0")
    yield figure(
        "sums and limits that differ from the rows", [len(one.totals) + len(one.counters) for one in found], "0"
    )
    yield figure("reservations left after their lease", [one.held for one in found], "0")
    yield figure("rows of calls whose client was cut off before it saw the end", [one.unseen for one in found])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="with each store")
    parser.add_argument("--clients", type=int, default=16, help="of each tenant")
    parser.add_argument("--check", action="store_true", help="exit with 1 if the ledger differs")
    options = parser.parse_args()
    figures: list[Figure] = []
    faults = 0
    for store in STORES:
        found = list(uvloop.run(_one_store(store, options.kills, options.clients)).values())
        figures += _figures(store, found)
        faults += sum(one.faults for one in found)
    publish("tenancy.kills", figures, {"rounds": 1, "kills": options.kills, "tenants": WITHOUT_STORE})
    return int(options.check and faults > 0)


if __name__ == "__main__":
    sys.exit(main())
