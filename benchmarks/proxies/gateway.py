"""``python -m benchmarks.proxies.gateway``: what the gateway adds to the same upstream, in the same rounds.

The gateway runs on one core, upstream and load on another. The upstream costs nothing, so what is measured is the
gateway's own time; its processor time per request is the figure to trust on a shared machine.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import uvloop

from benchmarks.load import Connection, Load, Request, saturate, steady
from benchmarks.processes import Command, free_port, wait_for
from benchmarks.report import Figure, publish
from switchyard.catalog import Catalog, CatalogFile, Model, State

MODELS = ("m", "m10x64", "m5000", "m10x500")
CHAT, V2 = "/v1/chat/completions", "/v2/models/m/infer"
TARGETS = {
    "chat": ("processor time per chat, saturated", "ms", "<= 0.10 (goal 0.05)"),
    "v2": ("processor time per V2 JSON request, saturated", "ms", "<= 0.09 (goal 0.05)"),
    "large": ("processor time per chat with a 256 KB body", "ms", "<= 0.6 (goal 0.3)"),
    "stream": ("processor time per 1,000 SSE chunks, 64 streams", "ms", "<= 45 (goal 30)"),
}


def pinned(core: int, *argv: str) -> list[str]:
    return ["taskset", "-c", str(core), *argv]


def chat(model: str = "m", *, stream: bool = False, pad: int = 0) -> bytes:
    messages = [{"role": "user", "content": "How many apples?" + "x" * pad}]
    return json.dumps({"model": model, "messages": messages, "stream": stream}).encode()


def v2() -> bytes:
    return json.dumps(
        {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["Hello"]}]}
    ).encode()


class Bench:
    """Both processes, resident through all rounds."""

    def __init__(self, folder: Path) -> None:
        up, door = free_port(), free_port()
        models = {
            name: Model(name=name, kind="llm", url=f"http://127.0.0.1:{up}", state=State(phase="ready"))
            for name in MODELS
        }
        CatalogFile(folder / "catalog.json").replace(Catalog(models))
        self.upstream = Command(
            pinned(0, sys.executable, "-m", "benchmarks.upstream", str(up)), folder / "upstream.log"
        )
        argv = [sys.executable, "-m", "switchyard.gateway", "--host=127.0.0.1", f"--http_port={door}"]
        env = {"SWITCHYARD_CATALOG": str(folder / "catalog.json"), "LOG_LEVEL": "warning"}
        self.gateway = Command(pinned(1, *argv, f"--grpc_port={free_port()}"), folder / "gateway.log", env)
        self.up, self.door = f"http://127.0.0.1:{up}", f"http://127.0.0.1:{door}"
        self.gateway.wait_for(f"{self.door}/readyz")
        self.upstream.wait_for(f"{self.up}/stats")

    def stop(self) -> None:
        self.gateway.stop()
        self.upstream.stop()

    def saturated(self, kind: str, seconds: float) -> tuple[Load, float]:
        """The load that the gateway carried, and its processor milliseconds."""
        request, connections = {
            "chat": (Request.post(self.door + CHAT, chat()), 32),
            "v2": (Request.post(self.door + V2, v2()), 32),
            "large": (Request.post(self.door + CHAT, chat(pad=262144)), 8),
            "stream": (Request.post(self.door + CHAT, chat("m10x64", stream=True)), 64),
        }[kind]
        before = self.gateway.tree.cpu_ms()
        load = uvloop.run(saturate(request, connections, seconds))
        return load, self.gateway.tree.cpu_ms() - before

    def added_ms(self, *, stream: bool, seconds: float) -> float:
        """Median to the first byte at 20 requests a second, less the same without the gateway."""
        body = chat("m10x64" if stream else "m", stream=stream)
        requests = [Request.post(self.up + CHAT, body), Request.post(self.door + CHAT, body)]
        rate = 1.0 if stream else 20.0
        direct, through = uvloop.run(steady(requests, rate, seconds))
        added: float = through.median_ms - direct.median_ms
        return added

    def cancel_ms(self, *, stream: bool) -> float:
        """From a client's hang-up until the upstream saw it."""
        before = self._stats()["left"]
        body = chat("m10x500", stream=True) if stream else chat("m5000")
        left_at: float = uvloop.run(_leave(Request.post(self.door + CHAT, body), stream=stream))
        wait_for(lambda: self._stats()["left"] > before, "the upstream to see the client leave", 6)
        return (self._stats()["left_at"] - left_at) * 1000

    def _stats(self) -> dict[str, float]:
        with urllib.request.urlopen(f"{self.up}/stats", timeout=5) as answer:
            stats: dict[str, float] = json.load(answer)
        return stats


async def _leave(request: Request, *, stream: bool) -> float:
    connection = await Connection(request).open()
    connection._writer.write(request.wire)
    if stream:
        await connection._reader.readuntil(b"data: ")
    else:
        await asyncio.sleep(0.2)  # until the upstream has the request
    connection._writer.transport.abort()
    return time.time()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    values: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        values.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        try:
            for kind in TARGETS:
                bench.saturated(kind, 1.0)  # warm-up
            for _ in range(options.rounds):
                add("added", bench.added_ms(stream=False, seconds=4 * options.seconds))
                for kind in TARGETS:
                    load, cpu = bench.saturated(kind, options.seconds)
                    add(kind, cpu / load.events * 1000 if kind == "stream" else cpu / load.answers)
                add("cancel stream", bench.cancel_ms(stream=True))
                add("cancel plain", bench.cancel_ms(stream=False))
                add("memory", bench.gateway.tree.pss_mb())
        finally:
            bench.stop()
    figures = [
        Figure(name="added p50 at 20 requests/s", unit="ms", values=tuple(values["added"]), target="<= 1.0 (goal 0.5)")
    ]
    figures += [
        Figure(name=TARGETS[kind][0], unit=TARGETS[kind][1], values=tuple(values[kind]), target=TARGETS[kind][2])
        for kind in TARGETS
    ]
    figures += [
        Figure(
            name="upstream sees a stream's client leave",
            unit="ms",
            values=tuple(values["cancel stream"]),
            target="<= 10 (goal 5)",
        ),
        Figure(
            name="upstream sees a plain answer's client leave",
            unit="ms",
            values=tuple(values["cancel plain"]),
            target="<= 10 (goal 5)",
        ),
        Figure(name="memory after load", unit="MB PSS", values=tuple(values["memory"]), target="<= 90 (goal 60)"),
    ]
    publish("proxies.gateway", figures, {"rounds": options.rounds, "seconds": options.seconds})


if __name__ == "__main__":
    main()
