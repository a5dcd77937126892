"""``python -m benchmarks.repository.zipf``: a repository of 200 models, 20 of which are asked, by Zipf's law.

Requests come at a steady pace; in the second half, one of the models that are asked gets new content every second.
A request is affected if it takes more than twice the p99 of the first half; one that fails ends the benchmark.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import httpx
import numpy as np
import tritonclient.grpc.aio as triton_grpc

from benchmarks.models.passthrough import Measured, percentile
from benchmarks.models.triton import Pod, pod
from benchmarks.report import Figure, publish
from benchmarks.repository import onnx_models

MODELS, HOT, SIDE = 200, 20, 16
CLIENTS, PAUSE = 4, 0.02
SWAP_SECONDS = 1.0
NAMES = [f"model-{number}" for number in range(MODELS)]
_WEIGHTS = list(accumulate(1 / rank for rank in range(1, HOT + 1)))


class Asking:
    """Asks hot models, the first most often."""

    def __init__(self, target: str) -> None:
        self._client = triton_grpc.InferenceServerClient(target)
        self._tensor = triton_grpc.InferInput("x", [1, SIDE], "FP32")
        self._tensor.set_data_from_numpy(np.ones((1, SIDE), np.float32))
        self._random = random.Random(1)

    async def one(self, name: str) -> float:
        """Milliseconds of one request."""
        began = time.perf_counter()
        await self._client.infer(name, [self._tensor])
        return (time.perf_counter() - began) * 1000

    async def steadily(self, seconds: float) -> list[float]:
        times: list[float] = []
        end = time.perf_counter() + seconds

        async def ask() -> None:
            while time.perf_counter() < end:
                (name,) = self._random.choices(NAMES[:HOT], cum_weights=_WEIGHTS)
                times.append(await self.one(name))
                await asyncio.sleep(PAUSE)

        await asyncio.gather(*(ask() for _ in range(CLIENTS)))
        return times

    async def close(self) -> None:
        await self._client.close()


async def swap(repository: Path, contents: Sequence[Path]) -> None:
    """Gives one hot model after the other new content until cancelled."""
    for number in range(10**6):
        await asyncio.sleep(SWAP_SECONDS)
        name = NAMES[number % HOT]
        (other,) = (content for content in contents if content != (repository / name).readlink())
        onnx_models.publish(repository, name, other)


async def traffic(running: Pod, repository: Path, contents: Sequence[Path], seconds: float, measured: Measured) -> None:
    asking = Asking(running.grpc)
    for name in NAMES[:HOT]:
        await asking.one(name)
    quiet = await asking.steadily(seconds)
    swapping = asyncio.ensure_future(swap(repository, contents))
    busy = await asking.steadily(seconds)
    if swapping.done():
        swapping.result()
    swapping.cancel()
    await asking.close()
    limit = 2 * percentile(quiet, 0.99)
    measured.add("unaffected", 100 * sum(took <= limit for took in busy) / len(busy))
    measured.add("requests", len(busy))


async def listing(running: Pod, measured: Measured, times: int = 20) -> None:
    took = []
    async with httpx.AsyncClient() as client:
        for _ in range(times):
            began = time.perf_counter()
            rows = (await client.post(f"http://{running.http}/v2/repository/index")).json()
            took.append((time.perf_counter() - began) * 1000)
            if len({row["name"] for row in rows}) != MODELS:
                raise RuntimeError(f"the index has {len(rows)} rows")
    measured.add("listing", percentile(took, 0.5))


async def hot_models(running: Pod) -> None:
    asking = Asking(running.grpc)
    for name in NAMES[:HOT]:
        await asking.one(name)
    await asking.close()


def memory(running: Pod) -> float:
    return running.triton.pss_mb() + running.predictor.pss_mb()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    measured = Measured()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = folder / "vision"
        repository.mkdir()
        contents = [folder / f"content-{value}" for value in (1, 2)]
        for value, content in enumerate(contents, 1):
            onnx_models.write(content, SIDE, float(value))
        for model in NAMES[:HOT]:
            onnx_models.publish(repository, model, contents[0])
        with pod(repository, folder) as running:
            asyncio.run(hot_models(running))
            before = memory(running)
            for model in NAMES[HOT:]:
                onnx_models.publish(repository, model, contents[0])
            for _ in range(options.rounds):
                asyncio.run(listing(running, measured))
                measured.add("idle", (memory(running) - before) / (MODELS - HOT))
                asyncio.run(traffic(running, repository, contents, options.seconds, measured))
                before = memory(running) - measured.of("idle")[-1] * (MODELS - HOT)
    figures = [
        Figure(name="requests unaffected by swaps", unit="%", values=measured.of("unaffected"), target=">= 99"),
        Figure(name="memory of a model that is idle", unit="MB PSS", values=measured.of("idle"), target="<= 1"),
        Figure(name=f"index of {MODELS} models", unit="ms", values=measured.of("listing"), target="<= 50"),
        Figure(name="requests in a round, none of which failed", unit="", values=measured.of("requests")),
    ]
    publish("repository.zipf", figures, {"rounds": options.rounds, "seconds": options.seconds})


if __name__ == "__main__":
    main()
