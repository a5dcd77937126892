"""``python -m benchmarks.proxies.router``: the graph's router against KServe's (Go), in the same rounds.

One hop through a Switch. Routers run on one core, upstream and load on another; the Go router gets one processor too
(GOMAXPROCS=1). Requests a second that one core carries are taken from the processor time of a saturated router, because
what arrives is limited by the core of the load. KServe's router buffers, so that streams are compared with no router.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import uvloop

from benchmarks.go import kserve_router
from benchmarks.load import Connection, Load, Request, saturate, steady
from benchmarks.processes import Command, answers, free_port
from benchmarks.proxies.gateway import chat, pinned
from benchmarks.proxies.small_requests import flood
from benchmarks.report import Figure, publish, ratios

_OPEN_STREAMS = 500


class Bench:
    """Both routers and their upstream, resident through all rounds."""

    def __init__(self, folder: Path) -> None:
        up, ours, theirs = free_port(), free_port(), free_port()
        self.up, self.ours, self.theirs = (f"http://127.0.0.1:{port}" for port in (up, ours, theirs))
        steps = [
            {"name": "v2", "condition": "inputs", "serviceUrl": f"{self.up}/v2/models/m/infer"},
            {"name": "chat", "condition": "model", "serviceUrl": f"{self.up}/v1/chat/completions"},
        ]
        self._graph = json.dumps({"nodes": {"root": {"routerType": "Switch", "steps": steps}}})
        self._folder = folder
        self.upstream = Command(
            pinned(0, sys.executable, "-m", "benchmarks.upstream", str(up)), folder / "upstream.log"
        )
        self.upstream.wait_for(f"{self.up}/stats")
        self.router = self.start_ours(ours)
        self.peer = self.start_theirs(theirs)
        self.router.wait_for(f"{self.ours}/readyz")
        self.peer.wait_for(f"{self.theirs}/readyz")

    def start_ours(self, port: int) -> Command:
        argv = pinned(1, sys.executable, "-m", "switchyard.router", "--graph-json", self._graph)
        env = {"HOST": "127.0.0.1", "PORT": str(port), "METRICS_PORT": str(free_port()), "DRAIN_SECONDS": "0"}
        return Command(argv, self._folder / f"ours-{port}.log", env)

    def start_theirs(self, port: int) -> Command:
        argv = pinned(1, str(kserve_router()), "--graph-json", self._graph)
        env = {"ROUTER_ADDRESS": f"127.0.0.1:{port}", "GOMAXPROCS": "1"}
        return Command(argv, self._folder / f"theirs-{port}.log", env)

    def stop(self) -> None:
        for command in (self.router, self.upstream):
            command.stop()
        self.peer.kill()  # told to stop, it would wait half a minute

    def saturated(self, router: Command, url: str, seconds: float) -> tuple[float, float]:
        """Processor milliseconds of a request, and requests a second that arrived."""
        before = router.tree.cpu_ms()
        count: int = uvloop.run(flood(Request.post(url + "/", chat()), 32, seconds))
        return (router.tree.cpu_ms() - before) / count, count / seconds

    def streamed(self, seconds: float) -> float:
        """Processor milliseconds of 1,000 chunks, 64 streams of a chunk every 10 ms."""
        before = self.router.tree.cpu_ms()
        load: Load = uvloop.run(saturate(Request.post(self.ours + "/", chat("m10x64", stream=True)), 64, seconds))
        return (self.router.tree.cpu_ms() - before) / load.events * 1000

    def added(self, seconds: float) -> tuple[float, float]:
        """Median milliseconds at 20 requests/s that ours and theirs add to asking without a router."""
        urls = (self.up + "/v1/chat/completions", self.ours + "/", self.theirs + "/")
        direct, ours, theirs = uvloop.run(steady([Request.post(url, chat()) for url in urls], 20.0, seconds))
        return ours.median_ms - direct.median_ms, theirs.median_ms - direct.median_ms

    def added_first_chunk(self, seconds: float) -> float:
        """Median milliseconds to the first chunk that ours adds."""
        urls = (self.up + "/v1/chat/completions", self.ours + "/")
        requests = [Request.post(url, chat("m1x8", stream=True)) for url in urls]
        direct, through = uvloop.run(steady(requests, 4.0, seconds))
        return through.median_ms - direct.median_ms  # type: ignore[no-any-return]

    def cold_start(self, start: Callable[[int], Command], stop: Callable[[Command], None]) -> float:
        """Seconds from the process's start until it is ready."""
        port = free_port()
        began = time.perf_counter()
        command = start(port)
        try:
            while not answers(f"http://127.0.0.1:{port}/readyz"):
                time.sleep(0.005)
            return time.perf_counter() - began
        finally:
            stop(command)

    def held_open(self, seconds: float) -> tuple[float, float]:
        """Megabytes that 500 open streams take, and by how much that grows while they go on."""
        before = self.router.tree.pss_mb()
        request = Request.post(self.ours + "/", _endless())
        early, late = uvloop.run(_hold_open(request, seconds, self.router.tree.pss_mb))
        return early - before, late - early

    def soaked(self, seconds: float) -> float:
        """Megabytes by which the router grows while 64 streams go on for ``seconds``, from the tenth second on."""
        request = Request.post(self.ours + "/", _endless())
        early, late = uvloop.run(_hold_open(request, seconds, self.router.tree.pss_mb, streams=64, settle=10.0))
        growth: float = late - early
        return growth


def _endless() -> bytes:
    return chat("m100x100000", stream=True)


async def _hold_open(
    request: Request, seconds: float, memory: Callable[[], float], streams: int = _OPEN_STREAMS, settle: float = 2.0
) -> tuple[float, float]:
    """Memory soon after the streams were opened, and ``seconds`` later."""
    opened = await asyncio.gather(*(Connection(request).open() for _ in range(streams)))
    asking = [asyncio.ensure_future(connection.ask()) for connection in opened]
    await asyncio.sleep(settle)
    early = memory()
    await asyncio.sleep(seconds)
    late = memory()
    ended = [task for task in asking if task.done()]
    for task in asking:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    for connection in opened:
        await connection.close()
    if ended:
        raise RuntimeError(f"{len(ended)} of {streams} streams ended early")
    return early, late


def measure(bench: Bench, rounds: int, seconds: float, soak: float) -> dict[str, list[float]]:
    """All figures by name, a value for each round."""
    values: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        values.setdefault(name, []).append(value)

    for url, router in ((bench.ours, bench.router), (bench.theirs, bench.peer)):
        bench.saturated(router, url, 1.0)  # warm-up
    for _ in range(rounds):
        for name, url, router in (("ours", bench.ours, bench.router), ("theirs", bench.theirs, bench.peer)):
            cpu, arrived = bench.saturated(router, url, seconds)
            add(f"{name} cpu", cpu)
            add(f"{name} arrived", arrived)
        ours, theirs = bench.added(2 * seconds)
        add("ours added", ours)
        add("theirs added", theirs)
        add("first chunk", bench.added_first_chunk(2 * seconds))
        add("chunks", bench.streamed(seconds))
        add("ours start", bench.cold_start(bench.start_ours, Command.stop))
        add("theirs start", bench.cold_start(bench.start_theirs, Command.kill))
        add("ours memory", bench.router.tree.pss_mb())
        add("theirs memory", bench.peer.tree.pss_mb())
    taken, growth = bench.held_open(5.0)
    add("open", taken)
    add("open growth", growth)
    if soak:
        add("soak", bench.soaked(soak))
    return values


def figures(values: Mapping[str, list[float]]) -> list[Figure]:
    """The table."""
    ours = tuple(values["ours cpu"])
    per_core = tuple(1000 / value for value in ours)
    rows = [
        ("processor time of a JSON request, saturated", "ms", ours, ""),
        ("the same of KServe's router", "ms", tuple(values["theirs cpu"]), ""),
        ("ours against KServe's", "ratio", ratios(ours, values["theirs cpu"]), "<= 0.6"),
        ("requests a second that one core carries", "1/s", per_core, ""),
        ("ours against KServe's", "ratio", ratios(values["theirs cpu"], ours), ">= 1.5"),
        ("requests a second that arrived in this test", "1/s", tuple(values["ours arrived"]), ""),
        ("the same of KServe's router", "1/s", tuple(values["theirs arrived"]), ""),
        ("added p50 at 20 requests/s", "ms", tuple(values["ours added"]), ""),
        ("the same of KServe's router", "ms", tuple(values["theirs added"]), ""),
        ("ours against KServe's", "ratio", ratios(values["ours added"], values["theirs added"]), "<= 1.1"),
        ("added time to the first chunk, p50", "ms", tuple(values["first chunk"]), "<= 1"),
        ("processor time of 1,000 chunks, 64 streams", "ms", tuple(values["chunks"]), "<= 45"),
        ("memory after load", "MB PSS", tuple(values["ours memory"]), "<= 60"),
        ("the same of KServe's router", "MB PSS", tuple(values["theirs memory"]), ""),
        ("memory of 500 open streams", "MB PSS", tuple(values["open"]), ""),
        ("its growth while they go on for 5 s", "MB PSS", tuple(values["open growth"]), "flat"),
        ("from start to ready", "s", tuple(values["ours start"]), "<= 0.6"),
        ("the same of KServe's router", "s", tuple(values["theirs start"]), ""),
    ]
    if "soak" in values:
        rows.append(("growth while 64 streams go on for the soak", "MB PSS", tuple(values["soak"]), "flat"))
    return [Figure(name=name, unit=unit, values=found, target=target) for name, unit, found, target in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of one long test of memory (600 is due)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        try:
            values = measure(bench, options.rounds, options.seconds, options.soak)
        finally:
            bench.stop()
    setting = {"rounds": options.rounds, "seconds": options.seconds, "soak": options.soak}
    publish("proxies.router", figures(values), setting)


if __name__ == "__main__":
    main()
