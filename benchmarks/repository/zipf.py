"""``python -m benchmarks.repository.zipf``: a repository of 200 models, 20 of which are asked, by Zipf's law.

Requests come at a steady pace; in the second half, one of the models that are asked gets new content every second.
A request is affected if it takes more than twice the p99 of the first half; one that fails ends the benchmark.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import httpx

from benchmarks.models.passthrough import Measured, percentile
from benchmarks.models.triton import Pod
from benchmarks.report import Figure, publish
from benchmarks.repository import onnx_models
from benchmarks.repository.serving import Client, Served, beside, options_of, serving

MODELS, HOT, SIDE = 200, 20, 16
CLIENTS, PAUSE = 4, 0.02
SWAP_SECONDS = 1.0
NAMES = [f"model-{number}" for number in range(MODELS)]
_WEIGHTS = list(accumulate(1 / rank for rank in range(1, HOT + 1)))


class Asking:
    """Asks hot models, the first most often."""

    def __init__(self, target: str) -> None:
        self._client = Client(target, SIDE)
        self._random = random.Random(1)

    async def one(self, name: str) -> float:
        """Milliseconds of one request."""
        began = time.perf_counter()
        await self._client.ask(name)
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


async def traffic(served: Served, contents: Sequence[Path], seconds: float, measured: Measured) -> None:
    asking = Asking(served.pod.grpc)
    for name in NAMES[:HOT]:
        await asking.one(name)
    quiet = await asking.steadily(seconds)
    async with beside(swap(served.repository, contents)):
        busy = await asking.steadily(seconds)
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


def contents_in(folder: Path) -> list[Path]:
    return [folder / f"content-{value}" for value in (1, 2)]


def write_hot_models(repository: Path, folder: Path) -> None:
    contents = contents_in(folder)
    for value, content in enumerate(contents, 1):
        onnx_models.write(content, SIDE, float(value))
    for model in NAMES[:HOT]:
        onnx_models.publish(repository, model, contents[0])


def memory(running: Pod) -> float:
    return running.triton.pss_mb() + running.predictor.pss_mb()


def main() -> None:
    options, measured = options_of(__doc__, rounds=3, seconds=20.0), Measured()
    with serving(write_hot_models) as served:
        running, contents = served.pod, contents_in(served.folder)
        asyncio.run(hot_models(running))
        before = memory(running)
        for model in NAMES[HOT:]:
            onnx_models.publish(served.repository, model, contents[0])
        for _ in range(options.rounds):
            asyncio.run(listing(running, measured))
            measured.add("idle", (memory(running) - before) / (MODELS - HOT))
            asyncio.run(traffic(served, contents, options.seconds, measured))
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
