"""What benchmarks of vision's repository share: the pod that serves it, a client, and changes beside a measurement."""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc.aio as triton_grpc

from benchmarks.models.triton import Pod, pod


@dataclass(frozen=True, kw_only=True)
class Served:
    """A pod on ``repository``; ``folder`` is for whatever else a benchmark writes."""

    pod: Pod
    repository: Path
    folder: Path


def options_of(description: str | None, *, rounds: int, seconds: float) -> argparse.Namespace:
    """Parses ``--rounds`` and ``--seconds``, the length of one measurement."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seconds", type=float, default=seconds)
    return parser.parse_args()


@contextmanager
def serving(fill: Callable[[Path, Path], object]) -> Iterator[Served]:
    """Starts a pod on what ``fill(repository, folder)`` has written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository = folder / "vision"
        repository.mkdir()
        fill(repository, folder)
        with pod(repository, folder) as running:
            yield Served(pod=running, repository=repository, folder=folder)


class Client:
    """Sends rows of ``side`` ones to the models of ``onnx_models``."""

    def __init__(self, target: str, side: int) -> None:
        self._side = side
        self._client = triton_grpc.InferenceServerClient(target)
        self._tensor = triton_grpc.InferInput("x", [1, side], "FP32")
        self._tensor.set_data_from_numpy(np.ones((1, side), np.float32))

    async def ask(self, name: str) -> triton_grpc.InferResult:
        return await self._client.infer(name, [self._tensor])

    async def value(self, name: str) -> float:
        """The value that fills the matrix of the model's content."""
        return float((await self.ask(name)).as_numpy("y")[0, 0]) / self._side

    async def close(self) -> None:
        await self._client.close()


@asynccontextmanager
async def beside(changes: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Makes changes until the end of the block; raises what they raise."""
    changing = asyncio.ensure_future(changes)
    try:
        yield
        if changing.done():
            changing.result()
    finally:
        changing.cancel()
        await asyncio.gather(changing, return_exceptions=True)
