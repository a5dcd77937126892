"""``python -m benchmarks.fairness``: what nine tenants wait while a tenth floods the model that all of them ask.

The model takes 16 calls at a time and each takes 200 ms, give or take half; the nine ask five times a second each,
at random times, which needs nine of the places. The flood is 200 connections that ask again as soon as they were
answered. Each round has the nine alone, and the same with the flood through two gateways: one that knows how many
calls the model takes (its catalog has ``concurrency``), and one that does not.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvloop

from benchmarks.load import Connection, Request
from benchmarks.processes import Command, free_port
from benchmarks.report import Figure, publish, ratios
from switchyard.catalog import Catalog, CatalogFile, Model, State
from switchyard.gateway.tenants.keys import create_key, digest

PLACES, MILLISECONDS, LONG_MILLISECONDS = 16, 200, 2000
NINE = tuple(f"tenant-{number}" for number in range(1, 10))
FLOODING = "flooding"
RATE = 5.0  # of each of the nine, in requests per second
FLOOD = 200
_BEFORE_SECONDS = 3.0  # for the flood to fill the model's line, which takes 200 / 80 s


class Platform:
    """A model and two gateways before it, resident through all rounds."""

    def __init__(self, folder: Path) -> None:
        self._keys = {name: create_key() for name in (*NINE, FLOODING)}
        tenants = [
            {"name": name, "keys": [{"id": name, "sha256": digest(key.encode()).hex()}]}
            for name, key in self._keys.items()
        ]
        (folder / "tenants.yaml").write_text(json.dumps({"tenants": tenants}))
        port = free_port()
        self.processes = [
            Command([sys.executable, "-m", "benchmarks.fairness.model", str(port), str(PLACES)], folder / "model.log")
        ]
        self.urls = {}
        for fair in (True, False):
            models = [
                Model(
                    name=f"m{milliseconds}",
                    kind="llm",
                    url=f"http://127.0.0.1:{port}",
                    concurrency=PLACES if fair else None,
                    state=State(phase="ready"),
                )
                for milliseconds in (MILLISECONDS, LONG_MILLISECONDS)
            ]
            self.urls[fair] = self._gateway(folder / f"fair-{fair}", folder, models)

    def _gateway(self, own: Path, folder: Path, models: list[Model]) -> str:
        own.mkdir()
        CatalogFile(own / "catalog.json").replace(Catalog({model.name: model for model in models}))
        url = f"http://127.0.0.1:{free_port()}"
        argv = [sys.executable, "-m", "switchyard.gateway", "--host=127.0.0.1", f"--http_port={url.rpartition(':')[2]}"]
        env = {"SWITCHYARD_CATALOG": str(own / "catalog.json"), "LOG_LEVEL": "warning"}
        env["SWITCHYARD_TENANTS"] = str(folder / "tenants.yaml")
        self.processes.append(Command([*argv, f"--grpc_port={free_port()}"], own / "gateway.log", env))
        self.processes[-1].wait_for(f"{url}/readyz")
        return url

    def stop(self) -> None:
        for process in self.processes:
            process.stop()

    def request(self, fair: bool, tenant: str, milliseconds: int) -> Request:
        body = json.dumps({"model": f"m{milliseconds}", "messages": [{"role": "user", "content": "x"}]}).encode()
        made = Request.post(f"{self.urls[fair]}/v1/chat/completions", body)
        key = f"\r\nauthorization: Bearer {self._keys[tenant]}\r\n\r\n".encode()
        return Request(host=made.host, port=made.port, wire=made.wire.replace(b"\r\n\r\n", key, 1))

    async def p95_ms(self, fair: bool, flood_milliseconds: int, seconds: float) -> float:
        """What the nine wait for a response, all together; 0 for no flood."""
        flood: list[asyncio.Task[None]] = []
        if flood_milliseconds:
            request = self.request(fair, FLOODING, flood_milliseconds)
            flood = [asyncio.ensure_future(_repeat(request)) for _ in range(FLOOD)]
            await asyncio.sleep(_BEFORE_SECONDS)
        requests = [self.request(fair, tenant, MILLISECONDS) for tenant in NINE]
        taken = await asyncio.gather(*(_at_random(request, seconds) for request in requests))
        for task in flood:
            task.cancel()
        await asyncio.gather(*flood, return_exceptions=True)
        await asyncio.sleep(0.5)  # for the model to learn that the flood has ended
        return 1000 * statistics.quantiles([one for some in taken for one in some], n=20)[-1]


async def _repeat(request: Request) -> None:
    connection = await Connection(request).open()
    try:
        while True:
            await connection.ask()
    finally:
        with suppress(OSError):
            await connection.close()


async def _at_random(request: Request, seconds: float) -> Sequence[float]:
    """Ask at random times, whether or not earlier requests have been answered; return the seconds of each."""
    idle: list[Connection] = []

    async def ask() -> float:
        connection = idle.pop() if idle else await Connection(request).open()
        taken, _ = await connection.ask()
        idle.append(connection)
        return taken

    asked, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        await asyncio.sleep(random.expovariate(RATE))
        asked.append(asyncio.ensure_future(ask()))
    taken = await asyncio.gather(*asked)
    for connection in idle:
        await connection.close()
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    options = parser.parse_args()
    phases = {
        "alone": (True, 0),
        "fair": (True, MILLISECONDS),
        "fair, long": (True, LONG_MILLISECONDS),
        "first in, first out": (False, MILLISECONDS),
    }
    p95: dict[str, list[float]] = {name: [] for name in phases}
    with tempfile.TemporaryDirectory() as name:
        platform = Platform(Path(name))
        try:
            uvloop.run(platform.p95_ms(True, 0, 1.0))  # warm-up
            for _ in range(options.rounds):
                for phase, (fair, flood) in phases.items():
                    p95[phase].append(uvloop.run(platform.p95_ms(fair, flood, options.seconds)))
        finally:
            platform.stop()
    against = {
        "fair": ("nine tenants' p95 while a tenth floods, against those nine alone", "<= 1.5"),
        "fair, long": (
            f"the same, where the flood's responses take {LONG_MILLISECONDS // MILLISECONDS} times as long",
            "",
        ),
        "first in, first out": ("the same as the first, in a gateway that does not know the model's places", ""),
    }
    figures = [
        Figure(name=text, unit="x", values=ratios(p95[phase], p95["alone"]), target=target)
        for phase, (text, target) in against.items()
    ]
    figures.append(Figure(name="p95 of the nine alone", unit="ms", values=tuple(p95["alone"])))
    publish("fairness", figures, {"rounds": options.rounds, "seconds": options.seconds})


if __name__ == "__main__":
    main()
