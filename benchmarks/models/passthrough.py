"""``python -m benchmarks.models.passthrough``: tensors through the vision predictor against straight to Triton.

The model answers with its input, so that all that is measured is the way there and back. Every client asks again as
soon as it was answered; the two ways take turns.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton_grpc
import tritonclient.http.aio as triton_http

from benchmarks.models.triton import Pod, pod, write_identity
from benchmarks.report import Figure, publish, ratios

MODEL = "identity"
OTHER = "swapped"
SMALL, LARGE = 16, 2_500_000  # numbers of four bytes: 64 bytes and 10 MB
CLIENTS = 8
PROTOCOLS = ("REST", "gRPC")

Ask = Callable[[], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Way:
    """A client on its way to the model."""

    ask: Ask
    close: Callable[[], Awaitable[None]]


def way(protocol: str, target: str, size: int) -> Way:
    """A client of ``protocol`` that sends ``size`` numbers and checks that it gets as many."""
    library: Any = triton_http if protocol == "REST" else triton_grpc
    client = library.InferenceServerClient(target, **({"conn_limit": CLIENTS} if protocol == "REST" else {}))
    tensor = library.InferInput("INPUT", [size], "FP32")
    tensor.set_data_from_numpy(np.ones(size, dtype=np.float32))

    async def ask() -> None:
        answer = await client.infer(MODEL, [tensor])
        if answer.as_numpy("OUTPUT").size != size:
            raise RuntimeError(f"{target} answered with another tensor")

    return Way(ask=ask, close=client.close)


async def load(running: Pod) -> None:
    """Has the model loaded, which only the predictor does on request."""
    one = way("gRPC", running.grpc, SMALL)
    await one.ask()
    await one.close()


async def rate(one: Way, clients: int, seconds: float) -> float:
    """Inferences a second."""
    end = time.perf_counter() + seconds
    counts = [0] * clients

    async def run(number: int) -> None:
        while time.perf_counter() < end:
            await one.ask()
            counts[number] += 1

    began = time.perf_counter()
    await asyncio.gather(*(run(number) for number in range(clients)))
    return sum(counts) / (time.perf_counter() - began)


async def latencies(ways: list[Way], number: int) -> list[list[float]]:
    """Milliseconds of ``number`` requests to each, one at a time, in turn."""
    rows: list[list[float]] = [[] for _ in ways]
    for _ in range(number):
        for row, one in zip(rows, ways, strict=True):
            began = time.perf_counter()
            await one.ask()
            row.append((time.perf_counter() - began) * 1000)
    return rows


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


class Measured:
    """What each round measured, by name."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)

    def of(self, name: str) -> tuple[float, ...]:
        return tuple(self.values[name])


async def round_of(running: Pod, protocol: str, seconds: float, measured: Measured) -> None:
    targets = (running.triton_http, running.http) if protocol == "REST" else (running.triton_grpc, running.grpc)
    for label, size, clients in (("small", SMALL, CLIENTS), ("10 MB", LARGE, 2)):
        ways = [way(protocol, target, size) for target in targets]
        for name, one in zip(("direct", "ours"), ways, strict=True):
            measured.add(f"{protocol} {label} {name}", await rate(one, clients, seconds))
        if label == "small":
            direct, ours = await latencies(ways, 200)
            measured.add(f"{protocol} added", percentile(ours, 0.5) - percentile(direct, 0.5))
        for one in ways:
            await one.close()
    measured.add("memory", running.predictor.pss_mb())


async def swapping(running: Pod, seconds: float, measured: Measured) -> None:
    """The latency of one model while another is loaded and unloaded all the time; a failed request raises.

    Triton's own, asked and swapped without the predictor, is the floor.
    """
    for name, target in (("direct", running.triton_grpc), ("ours", running.grpc)):
        quiet = await _paced(target, seconds)
        swaps = asyncio.ensure_future(_swap(target))
        busy = await _paced(target, seconds)
        swaps.cancel()
        await asyncio.gather(swaps, return_exceptions=True)
        for share in (0.5, 0.99):
            measured.add(f"swap {name} {share}", percentile(busy, share) / percentile(quiet, share))


async def _paced(target: str, seconds: float) -> list[float]:
    one = way("gRPC", target, SMALL)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        await one.ask()
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.01)
    await one.close()
    return times


async def _swap(target: str) -> None:
    admin = triton_grpc.InferenceServerClient(target)
    try:
        while True:
            await admin.load_model(OTHER)
            await admin.unload_model(OTHER)
    finally:
        await admin.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    measured = Measured()
    with tempfile.TemporaryDirectory() as name:
        repository = Path(name) / "repository"
        for model in (MODEL, OTHER):
            write_identity(repository, model)
        with pod(repository, Path(name)) as running:
            asyncio.run(load(running))
            for _ in range(options.rounds):
                for protocol in PROTOCOLS:
                    asyncio.run(round_of(running, protocol, options.seconds, measured))
                asyncio.run(swapping(running, options.seconds, measured))
    figures = []
    for protocol, least in zip(PROTOCOLS, (0.6, 0.8), strict=True):
        for label, target in (("small", f">= {least}"), ("10 MB", ">= 0.7")):
            ours, direct = measured.of(f"{protocol} {label} ours"), measured.of(f"{protocol} {label} direct")
            name = f"{protocol}, {label}: inferences/s against straight to Triton"
            figures.append(Figure(name=name, unit="x", values=ratios(ours, direct), target=target))
            figures.append(Figure(name=f"{protocol}, {label}: ours", unit="1/s", values=ours))
        added = measured.of(f"{protocol} added")
        figures.append(Figure(name=f"{protocol}, small: added p50", unit="ms", values=added, target="<= 1"))
    figures += [
        Figure(name="memory of the predictor, round by round", unit="MB PSS", values=measured.of("memory")),
        Figure(
            name="p99 while another model is swapped", unit="x", values=measured.of("swap ours 0.99"), target="<= 2"
        ),
        Figure(name="p99, the same without the predictor", unit="x", values=measured.of("swap direct 0.99")),
        Figure(name="p50 while another model is swapped", unit="x", values=measured.of("swap ours 0.5")),
    ]
    publish("models.passthrough", figures, {"rounds": options.rounds, "seconds": options.seconds, "clients": CLIENTS})


if __name__ == "__main__":
    main()
