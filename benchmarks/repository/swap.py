"""``python -m benchmarks.repository.swap``: the latency of one model while another of 10 MB gets new content.

A client asks one model every 10 ms. Then the other, which is loaded, gets the next content as soon as the last answers,
all the time. A request that fails ends the benchmark.
"""

import argparse
import asyncio
import tempfile
import time
from itertools import count
from pathlib import Path

import numpy as np
import tritonclient.grpc.aio as triton_grpc

from benchmarks.models.passthrough import Measured, load, percentile
from benchmarks.models.passthrough import _paced as paced
from benchmarks.models.triton import Pod, pod, write_identity
from benchmarks.report import Figure, publish
from benchmarks.repository import onnx_models

OTHER, SIDE = "swapped", 1600  # 10 MB of weights
MODEL = "identity"
_PAUSE = 0.05  # between two looks at which content answers


class Swaps:
    """Gives the model ``OTHER`` new content; the numbers of two contents take turns, so each can be told."""

    def __init__(self, repository: Path, contents: Path, target: str) -> None:
        self._repository = repository
        self._contents = contents
        self._client = triton_grpc.InferenceServerClient(target)
        self._tensor = triton_grpc.InferInput("x", [1, SIDE], "FP32")
        self._tensor.set_data_from_numpy(np.ones((1, SIDE), np.float32))
        for value in (1, 2):
            onnx_models.write(contents / str(value), SIDE, float(value))

    async def one(self, number: int) -> float:
        """Publish a content; return the seconds until it answers."""
        value = number % 2 + 1
        began = time.perf_counter()
        onnx_models.publish(self._repository, OTHER, self._contents / str(value))
        while await self._value() != value:  # noqa: ASYNC110 - another process
            await asyncio.sleep(_PAUSE)
        return time.perf_counter() - began

    async def _value(self) -> float:
        answer = await self._client.infer(OTHER, [self._tensor])
        return float(answer.as_numpy("y")[0, 0]) / SIDE

    async def close(self) -> None:
        await self._client.close()


async def round_of(running: Pod, repository: Path, contents: Path, seconds: float, measured: Measured) -> None:
    swaps = Swaps(repository, contents, running.grpc)
    await swaps.one(0)
    quiet = await paced(running.grpc, seconds)
    took: list[float] = []

    async def swap() -> None:
        for number in count(1):
            took.append(await swaps.one(number))  # noqa: PERF401 - it ends by a cancellation

    swapping = asyncio.ensure_future(swap())
    busy = await paced(running.grpc, seconds)
    if swapping.done():
        swapping.result()
    swapping.cancel()
    await asyncio.gather(swapping, return_exceptions=True)
    await swaps.close()
    measured.add("swap", percentile(took, 0.5))
    measured.add("swaps", len(took))
    measured.add("p99 quiet", percentile(quiet, 0.99))
    for share in (0.5, 0.99):
        measured.add(f"{share}", percentile(busy, share) / percentile(quiet, share))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    measured = Measured()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = folder / "vision"
        write_identity(repository, MODEL)
        with pod(repository, folder) as running:
            asyncio.run(load(running))
            for number in range(options.rounds):
                contents = folder / f"contents-{number}"
                asyncio.run(round_of(running, repository, contents, options.seconds, measured))
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
