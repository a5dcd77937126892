"""The services of a run without a gateway, with stub predictors as their processes."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from switchyard.catalog import CatalogFile, Model
from switchyard.http.client import Client
from switchyard.local.activator.request_queue import QueueLimits
from switchyard.local.memory.room import Room
from switchyard.local.plan.plan import plan
from switchyard.local.plan.workloads import Options, Service
from switchyard.local.processes import identities
from switchyard.local.processes.launch import SpawnLauncher
from switchyard.local.processes.mounts import Mounts
from switchyard.local.processes.start import Starter
from switchyard.local.replicas.contents import Contents
from switchyard.local.replicas.replica import Replica
from switchyard.local.status.board import StatusBoard
from switchyard.local.supervisor.services import Services
from switchyard.repository.served import ServedFile
from switchyard.telemetry.metrics.local import LocalMetrics
from switchyard.telemetry.tracing import DisabledTracer
from tests.switchyard.local.overlays import Stub, runtime

SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stub-settings"}, "data": {"FROM_MAP": "yes"}}


class Run:
    """The services of a run without a gateway."""

    def __init__(self, root: Path, memory: int = 1024) -> None:
        self.room = Room(memory)
        self._root = root
        self.run_id = uuid.uuid4().hex
        self._registry = CollectorRegistry()
        self._metrics = LocalMetrics(self._registry)
        self.client = Client()
        self.catalog = CatalogFile(root / "catalog.json")
        self.board = StatusBoard(served={}, names=(), file=self.catalog, metrics=self._metrics, root=root)
        self.hosts: dict[str, str] = {}
        self._starter = Starter(
            launcher=SpawnLauncher(),
            client=self.client,
            mounts=Mounts(()),
            logs=self._log,
            run_id=self.run_id,
            base={},
            hosts=self.hosts,
        )
        self.services = Services(
            replica=self._replica,
            hosts=self.hosts,
            board=self.board,
            metrics=self._metrics,
            client=self.client,
            tracer=DisabledTracer(),
        )

    def _log(self, name: str) -> Path:
        return self._root / f"{name}.log"

    def _replica(self, service: Service, before: Service | None) -> Replica:
        self._log(service.name).touch()
        return Replica(
            service,
            contents=Contents(service, ServedFile(self._root / "published"), before),
            starter=self._starter,
            client=self.client,
            board=self.board,
            metrics=self._metrics,
            logs=[self._log(service.name)],
            room=self.room,
            limits=QueueLimits(),
            grace=10.0,
        )

    def planned(self, stub: Stub, options: Options | None = None) -> Service:
        (self._root / "stubs/stub").mkdir(parents=True, exist_ok=True)
        options = options or Options(root=self._root, state=self._root, claims={"model-repository": self._root})
        (service,) = plan([SETTINGS, runtime(), stub.document()], options).services
        return service

    def models(self) -> dict[str, Model]:
        return dict(self.catalog.current().models)

    def metrics(self) -> str:
        return generate_latest(self._registry).decode()


@asynccontextmanager
async def running(root: Path, memory: int = 1024) -> AsyncIterator[Run]:
    """Runs services until the end of the block; nothing is left of them."""
    made = Run(root, memory)
    task = asyncio.ensure_future(made.services.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await made.services.drain(10.0)
        await made.services.stop()
        await made.client.aclose()
        assert identities.of_run(made.run_id) == []
