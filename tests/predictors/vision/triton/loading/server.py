"""A Triton that is a set of names, and what loads its models."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import CollectorRegistry

from predictors.vision.triton.control import Control
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.loading.residency import UNLIMITED, Limits
from predictors.vision.triton.model_folders import ModelFolders
from switchyard.http.api_errors import ApiError
from switchyard.rpc.protobuf import read_text
from switchyard.telemetry.metrics.predictors import InferenceMetrics


class Server:
    """Loads what it is told, when ``gate`` is open; ``orders`` is what it was told."""

    def __init__(self, *names: str, **steps: str) -> None:
        self.names = [*names, *steps]
        self.dependencies = steps
        self.loaded: set[str] = set()
        self.orders: list[str] = []
        self.requests: list[bytes] = []
        self.broken: dict[str, str] = {}
        self.removed: set[str] = set()
        self.repository = ""
        self.registry = CollectorRegistry()
        self.sizes: dict[str, int] = {}
        self.pinned: set[str] = set()
        self.away = False
        self.on_failure: Callable[[], None] = lambda: None
        self.gate = asyncio.Event()
        self.gate.set()

    def content(self, model: str) -> str:
        return ModelFolders(self.repository).link(model)

    def memory(self, model: str) -> int:
        return self.sizes.get(model, 1)

    async def index(self) -> dict[str, bool]:
        if self.away:
            raise ApiError("upstream_unreachable", "away")
        return {name: name in self.loaded for name in self.names}

    async def config(self, model: str) -> Mapping[str, Any]:
        parameters = {"steps": self.dependencies.get(model, ""), "pinned": str(model in self.pinned)}
        return {"name": model, "parameters": {name: {"string_value": value} for name, value in parameters.items()}}

    async def control(self, method: Control, request: bytes) -> None:
        model = read_text(request, 2)
        loads = method == "RepositoryModelLoad"
        self.requests.append(request)
        self.orders.append(("+" if loads else "-") + model)
        await self.gate.wait()
        if self.away:
            raise ApiError("upstream_unreachable", "away")
        if reason := self.broken.get(model):
            self.on_failure()
            raise ApiError("invalid_value", reason)
        if model in self.removed:
            raise ApiError("model_error", f"failed to load '{model}', failed to poll from model repository", status=500)
        (self.loaded.add if loads else self.loaded.discard)(model)


def loaded_models(
    server: Server, *, idle: float = 0, wait: float = 5, waiting: int = 8, limits: Limits = UNLIMITED
) -> LoadedModels:
    metrics = InferenceMetrics(server.registry)
    return LoadedModels(server, metrics, idle_seconds=idle, wait_seconds=wait, max_waiting=waiting, limits=limits)


async def use(account: LoadedModels, name: str) -> str:
    async with account.use(name) as config:
        return config.name


async def ordered(server: Server, order: str) -> None:
    async with asyncio.timeout(5):
        while order not in server.orders:
            await asyncio.sleep(0)
