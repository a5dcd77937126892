"""``python -m benchmarks.tenancy.cost``: what keys, usage and limits add to a chat, against a gateway without them.

All gateways run through all rounds, on one core; the model, Redis and the clients are on another. ``keys`` asks for a
key and nothing else, ``usage`` has a store too and writes a row for each call, ``all`` also has four limits: requests
and tokens per minute, requests in flight, and dollars per month. What is added is the difference to the bare gateway
in the same round. What is measured is the processor time of the gateway, in busy phases of 32 clients and at 20
requests a second; that of Redis, which is set up as the component redis is, stands apart.
"""

import argparse
import os
import tempfile
from contextlib import ExitStack
from pathlib import Path

import uvloop

from benchmarks.load import Request, saturate, steady
from benchmarks.report import Figure, publish
from benchmarks.tenancy.clients import chat
from benchmarks.tenancy.platform import STORES, Process, Starter, store_url, tenant, write_tenants

BARE = "bare"
LIMITS = (
    {"limit": "requests", "most": 10**9, "per": "minute"},
    {"limit": "tokens", "most": 10**12, "per": "minute"},
    {"limit": "in_flight", "most": 10**6},
    {"limit": "dollars", "most": 10**6, "per": "month"},
)
RATE, CLIENTS = 20.0, 32
TARGETS = {"sqlite": ("<= 0.05", "<= 0.3"), "redis": ("<= 0.08", "<= 0.6")}  # of all: CPU and p50, in ms
_MODEL = "m"
_LOAD_CORE, _GATEWAY_CORE = 0, 1


class Gateways:
    """A gateway for each of ``names``, and the processes around them."""

    def __init__(self, starter: Starter) -> None:
        model = starter.model(_MODEL)
        self.processes: dict[str, Process] = {BARE: starter.gateway("gateway-bare")}
        self.redis: Process | None = None
        self._keys = {BARE: ""}
        self._start(starter, "keys", ())
        for kind in STORES:
            for number, (feature, limits) in enumerate((("usage", ()), ("all", LIMITS))):
                if kind == "redis" and self.redis is not None:
                    store = f"redis://127.0.0.1:{self.redis.port}/{number}"
                else:
                    store, started = store_url(kind, starter, name=feature)
                    self.redis = started or self.redis
                self._start(starter, f"{feature}, {kind}", limits, store)
        for process in (model, *self.processes.values()):
            process.wait()
        self.requests = {
            name: Request(host="127.0.0.1", port=process.port, wire=chat(self._keys[name], _MODEL))
            for name, process in self.processes.items()
        }

    def _start(self, starter: Starter, name: str, limits: object, store: str = "") -> None:
        assert isinstance(limits, tuple)
        path = starter.folder / f"{name}.json"
        self._keys[name], one = tenant("acme", limits)
        write_tenants(path, [one])
        self.processes[name] = starter.gateway(f"gateway-{name}", tenants=path, store=store)

    def cpu_ms(self) -> dict[str, float]:
        return {name: process.tree.cpu_ms() for name, process in self.processes.items()}


class Rounds:
    """What each round measured of each gateway: by figure and name."""

    def __init__(self, gateways: Gateways) -> None:
        self._gateways = gateways
        self._values: dict[tuple[str, str], list[float]] = {}

    def run(self, seconds: float) -> None:
        """Measure each gateway once, in busy phases and at a steady rate."""
        for name, request in self._gateways.requests.items():
            self._busy(name, request, seconds)
        before = self._gateways.cpu_ms()
        loads = uvloop.run(steady(list(self._gateways.requests.values()), RATE, 3 * seconds))
        after = self._gateways.cpu_ms()
        for name, load in zip(self._gateways.requests, loads, strict=True):
            self._add("steady", name, (after[name] - before[name]) / load.answers)
            self._add("p50", name, load.median_ms)
            self._add("memory", name, self._gateways.processes[name].tree.pss_mb())

    def _busy(self, name: str, request: Request, seconds: float) -> None:
        redis, process = self._gateways.redis, self._gateways.processes[name]
        assert redis is not None
        before, redis_before = process.tree.cpu_ms(), redis.tree.cpu_ms()
        load = uvloop.run(saturate(request, CLIENTS, seconds))
        self._add("busy", name, (process.tree.cpu_ms() - before) / load.answers)
        self._add("redis", name, (redis.tree.cpu_ms() - redis_before) / load.answers)

    def _add(self, figure: str, name: str, value: float) -> None:
        self._values.setdefault((figure, name), []).append(value)

    def of(self, figure: str, name: str) -> tuple[float, ...]:
        return tuple(self._values[figure, name])

    def added(self, figure: str, name: str) -> tuple[float, ...]:
        """Return the differences to the bare gateway, round by round."""
        return tuple(one - bare for one, bare in zip(self.of(figure, name), self.of(figure, BARE), strict=True))


def _figures(rounds: Rounds, names: list[str]) -> list[Figure]:
    cpu = "processor time per chat"
    figures = [
        Figure(name=f"bare: {cpu}, busy", unit="ms", values=rounds.of("busy", BARE)),
        Figure(name=f"bare: {cpu}, at 20/s", unit="ms", values=rounds.of("steady", BARE)),
        Figure(name="bare: p50 at 20/s", unit="ms", values=rounds.of("p50", BARE)),
    ]
    for name in names:
        feature, _, store = name.partition(", ")
        cpu_target, p50_target = TARGETS[store] if feature == "all" else ("", "")
        figures += [
            Figure(name=f"{name}: added {cpu}, busy", unit="ms", values=rounds.added("busy", name), target=cpu_target),
            Figure(name=f"{name}: added {cpu}, at 20/s", unit="ms", values=rounds.added("steady", name)),
            Figure(name=f"{name}: added p50 at 20/s", unit="ms", values=rounds.added("p50", name), target=p50_target),
            Figure(name=f"{name}: added memory", unit="MB PSS", values=rounds.added("memory", name)),
        ]
    figures.append(
        Figure(name="all, redis: that of Redis itself, busy", unit="ms", values=rounds.of("redis", "all, redis"))
    )
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each busy phase; a third of a steady one")
    options = parser.parse_args()
    os.sched_setaffinity(0, {_LOAD_CORE})
    core = {"model": _LOAD_CORE, "redis": _LOAD_CORE, "gateway": _GATEWAY_CORE}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        gateways = Gateways(Starter(stack, Path(folder), core))
        for request in gateways.requests.values():
            uvloop.run(saturate(request, CLIENTS, 1.0))  # warm-up
        rounds = Rounds(gateways)
        for _ in range(options.rounds):
            rounds.run(options.seconds)
        names = [name for name in gateways.requests if name != BARE]
    publish("tenancy.cost", _figures(rounds, names), {"rounds": options.rounds, "seconds": options.seconds})


if __name__ == "__main__":
    main()
