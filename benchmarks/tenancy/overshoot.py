"""``python -m benchmarks.tenancy.overshoot``: 8 gateways with 64 clients each, and one limit that all of them share.

What counts is what the model sees. Of a limit per minute it is the 60 seconds in which it had most, over two windows
and the beginning of a third; of requests in flight how many it had at once. A client that is denied asks again after a
second, however long it was told to wait, so each limit is at its end all the time. A request's tokens of output are
random: it asks for at most 64, and uses one to 64 of them.
"""

import argparse
import asyncio
import itertools
import json
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.report import Figure, publish
from benchmarks.tenancy.clients import Connection, chat
from benchmarks.tenancy.platform import STORES, Process, Starter, store_url, tenant, write_tenants

GATEWAYS, CLIENTS = 8, 64
TOKENS = 64
WINDOW, PARTS = 60.0, 61  # a window is full again when all of its first sixtieth is older
_AGAIN_SECONDS = 1.0
_FAST, _SLOW = "m5", "m1000"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A limit, which model is asked, and how long; ``estimate`` is what one request reserves at most."""

    unit: str
    most: int
    model: str
    seconds: float
    estimate: int = 0
    per: str | None = "minute"


CASES = (
    Case(unit="requests", most=3000, model=_FAST, seconds=2 * PARTS + 3),
    Case(unit="in_flight", most=100, model=_SLOW, seconds=20, per=None),
    Case(unit="tokens", most=150_000, model=_FAST, seconds=2 * PARTS + 3, estimate=TOKENS + 64),
)


@dataclass(frozen=True, kw_only=True)
class Result:
    """How much too much there was, in units of the limit, and which part of the limit was used."""

    overshoot: float
    throughput: float
    denied: int


class Platform:
    """The gateways, and for each limit a tenant that has it."""

    def __init__(self, starter: Starter, store: str, cases: Sequence[Case]) -> None:
        self.keys, tenants = {}, []
        for case in cases:
            limit: dict[str, Any] = {"limit": case.unit, "most": case.most}
            self.keys[case], one = tenant(
                case.unit.replace("_", "-"), [limit | ({"per": case.per} if case.per else {})]
            )
            tenants.append(one)
        path = starter.folder / "tenants.yaml"
        write_tenants(path, tenants)
        url, _ = store_url(store, starter)
        self.model: Process = starter.model(_FAST, _SLOW)
        self.gateways = [starter.gateway(f"gateway-{number}", tenants=path, store=url) for number in range(GATEWAYS)]
        for process in (self.model, *self.gateways):
            process.wait()

    async def seen(self) -> dict[str, Any]:
        """Return what the model had since the last time."""
        connection = Connection(self.model.port)
        _, _, body = await connection.ask(b"GET /seen HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
        connection.close()
        seen: dict[str, Any] = json.loads(body)
        return seen

    async def run(self, case: Case) -> Result:
        """Let all clients ask for as long as the case takes."""
        wire = chat(self.keys[case], case.model, tokens=TOKENS, user="random")
        end = time.monotonic() + case.seconds
        asking = [
            asyncio.ensure_future(_ask(gateway.port, wire, lambda: time.monotonic() < end))
            for gateway in self.gateways
            for _ in range(CLIENTS)
        ]
        await asyncio.sleep(2.0 if case.per is None else 0.0)  # until all have begun
        before, began = await self.seen(), time.monotonic()
        await asyncio.sleep(end - time.monotonic())
        seen, seconds = await self.seen(), time.monotonic() - began
        denied = sum(await asyncio.gather(*asking))
        if case.per is None:
            overshoot, throughput = seen["peak"] - case.most, seen["held"] / seconds / case.most
        else:
            served = [(at, tokens if case.unit == "tokens" else 1) for at, tokens in before["served"] + seen["served"]]
            overshoot, throughput = most_in_a_window(served) - case.most, rate(served) / (case.most / WINDOW)
        return Result(overshoot=max(0, overshoot), throughput=throughput, denied=denied)


async def _ask(port: int, wire: bytes, goes_on: Callable[[], bool]) -> int:
    """Ask again and again; return how often it was denied."""
    connection, denied = Connection(port), 0
    while goes_on():
        status, _, body = await connection.ask(wire)
        if status == 429:
            denied += 1
            await asyncio.sleep(_AGAIN_SECONDS)
        elif status != 200:
            raise RuntimeError(f"{status}: {body.decode()}")
    connection.close()
    return denied


def most_in_a_window(served: Sequence[tuple[float, int]]) -> int:
    """Return the most that there was in any 60 seconds."""
    served = sorted(served)
    now = most = first = 0
    for at, amount in served:
        now += amount
        while served[first][0] <= at - WINDOW:
            now -= served[first][1]
            first += 1
        most = max(most, now)
    return most


def rate(served: Sequence[tuple[float, int]]) -> float:
    """Return how much there was per second, from the sixtieth with the first until the second window has ended."""
    start, seconds = math.floor(min(served)[0]), 2.0 * PARTS
    return sum(amount for at, amount in served if at < start + seconds) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--limits", nargs="*", default=[case.unit for case in CASES], help="these alone")
    options = parser.parse_args()
    cases = [case for case in CASES if case.unit in options.limits]
    results: dict[tuple[str, Case], list[Result]] = {}
    for _, store in itertools.product(range(options.rounds), STORES):
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            platform = Platform(Starter(stack, Path(folder)), store, cases)
            for case in cases:
                result = uvloop.run(platform.run(case))
                results.setdefault((store, case), []).append(result)
                print(f"{store}, {case.unit}: {result}", flush=True)
    figures = []
    for (store, case), found in results.items():
        name = f"{store}, {case.most} {case.unit}"
        overshoot = tuple(one.overshoot for one in found)
        throughput = tuple(one.throughput for one in found)
        figures.append(Figure(name=f"{name}: too many", unit=case.unit, values=overshoot, target=f"<= {case.estimate}"))
        figures.append(Figure(name=f"{name}: used of the limit", unit="x", values=throughput, target=">= 0.95"))
    publish("tenancy.overshoot", figures, {"rounds": options.rounds, "gateways": GATEWAYS, "clients": CLIENTS})


if __name__ == "__main__":
    main()
