"""``python -m benchmarks.repository.swap``: the latency of one model while another of 10 MB gets new content.

A client asks one model every 10 ms. Then the other, which is loaded, gets the next content as soon as the last answers,
all the time. A request that fails ends the benchmark.
"""

import asyncio
import time
from itertools import count
from pathlib import Path

from benchmarks.models.passthrough import Measured, load, percentile
from benchmarks.models.passthrough import _paced as paced
from benchmarks.models.triton import write_identity
from benchmarks.report import Figure, publish
from benchmarks.repository import onnx_models
from benchmarks.repository.serving import Client, Served, beside, options_of, serving

OTHER, SIDE = "swapped", 1600  # 10 MB of weights
MODEL = "identity"
_PAUSE = 0.05  # between two looks at which content answers


class Swaps:
    """Gives the model ``OTHER`` new content; the numbers of two contents take turns, so each can be told."""

    def __init__(self, repository: Path, contents: Path, target: str) -> None:
        self._repository = repository
        self._contents = contents
        self._client = Client(target, SIDE)
        for value in (1, 2):
            onnx_models.write(contents / str(value), SIDE, float(value))

    async def one(self, number: int) -> float:
        """Publish a content; return the seconds until it answers."""
        value = number % 2 + 1
        began = time.perf_counter()
        onnx_models.publish(self._repository, OTHER, self._contents / str(value))
        while await self._client.value(OTHER) != value:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_PAUSE)
        return time.perf_counter() - began

    async def close(self) -> None:
        await self._client.close()


async def round_of(served: Served, contents: Path, seconds: float, measured: Measured) -> None:
    target = served.pod.grpc
    swaps = Swaps(served.repository, contents, target)
    await swaps.one(0)
    quiet = await paced(target, seconds)
    took: list[float] = []

    async def swap() -> None:
        for number in count(1):
            took.append(await swaps.one(number))  # noqa: PERF401 - it ends by a cancellation

    async with beside(swap()):
        busy = await paced(target, seconds)
    await swaps.close()
    measured.add("swap", percentile(took, 0.5))
    measured.add("swaps", len(took))
    measured.add("p99 quiet", percentile(quiet, 0.99))
    for share in (0.5, 0.99):
        measured.add(f"{share}", percentile(busy, share) / percentile(quiet, share))


def main() -> None:
    options, measured = options_of(__doc__, rounds=5, seconds=10.0), Measured()
    with serving(lambda repository, _: write_identity(repository, MODEL)) as served:
        asyncio.run(load(served.pod))
        for number in range(options.rounds):
            asyncio.run(round_of(served, served.folder / f"contents-{number}", options.seconds, measured))
    figures = [
        Figure(name="p99 of others while a model is swapped", unit="x", values=measured.of("0.99"), target="<= 2"),
        Figure(name="p50 of others while a model is swapped", unit="x", values=measured.of("0.5")),
        Figure(name="p99 of others before", unit="ms", values=measured.of("p99 quiet")),
        Figure(name="published to answered, 10 MB of ONNX", unit="s", values=measured.of("swap"), target="<= 2"),
        Figure(name="swaps in a round, none of whose requests failed", unit="", values=measured.of("swaps")),
    ]
    publish("repository.swap", figures, {"rounds": options.rounds, "seconds": options.seconds})


if __name__ == "__main__":
    main()
