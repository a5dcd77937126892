"""The services of a run: each has a port, a queue and a replica, and comes and goes without touching the others."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from switchyard.catalog import Model
from switchyard.http.api_errors import ApiError
from switchyard.http.client import Client
from switchyard.http.h2.grpc_call import GrpcCall
from switchyard.http.request_log import logged, logged_calls
from switchyard.http.server import Exchange
from switchyard.local.activator.application import Activator, Endpoint
from switchyard.local.activator.listener import Listener, loopback_socket
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.activator.rpc import RpcActivator
from switchyard.local.plan import arguments
from switchyard.local.plan.graphs import cluster_hosts
from switchyard.local.plan.workloads import Service
from switchyard.local.replicas.replica import Replica
from switchyard.local.status.board import StatusBoard
from switchyard.telemetry.metrics.local import LocalMetrics
from switchyard.telemetry.tracing import Tracer

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Hosted:
    service: Service
    port: int
    replica: Replica
    task: "asyncio.Task[None] | None" = None

    def model(self, service: Service) -> Model:
        """Return the catalog's entry of ``service`` at the port of this one."""
        address = f"{arguments.LOOPBACK}:{self.port}"
        return replace(service.model, url=f"http://{address}", grpc=address if service.command.grpc else "")


class Services:
    """Runs services until cancelled; ``replica`` makes a service's replica, ``add`` says of what.

    ``hosts`` gets the cluster's host names of each service and the ``host:port`` where it listens here.
    """

    def __init__(
        self,
        *,
        replica: Callable[[Service, Service | None], Replica],
        hosts: dict[str, str],
        board: StatusBoard,
        metrics: LocalMetrics,
        client: Client,
        tracer: Tracer,
    ) -> None:
        self._replica = replica
        self._hosts = hosts
        self._board = board
        self._metrics = metrics
        self._endpoints: dict[int, Endpoint] = {}
        self._rpc_endpoints: dict[int, Endpoint] = {}
        self._listener = Listener(
            logged(Activator(self._endpoints, client, tracer).handle, self._model_of),
            rpc=logged_calls(RpcActivator(self._rpc_endpoints, tracer).handle, self._model_of),
        )
        self._hosted: dict[str, _Hosted] = {}
        self._runs = False
        self._changed = asyncio.Event()

    def _model_of(self, request: Exchange | GrpcCall) -> Mapping[str, str]:
        """Return what a request's line in the log says beside its ids: whose it is, by the port it arrived at."""
        endpoint = self._endpoints.get(request.server[1]) if request.server else None
        return {"model": endpoint.name} if endpoint else {}

    @property
    def queues(self) -> Mapping[str, RequestQueue]:
        return {name: hosted.replica.queue for name, hosted in self._hosted.items()}

    @property
    def planned(self) -> Mapping[str, Service]:
        return {name: hosted.service for name, hosted in self._hosted.items()}

    async def add(self, service: Service, before: Service | None = None) -> Model:
        """Let a service take requests; its name must be free on the board. Its process starts once this runs.

        ``before`` is the service as it was planned for the content that an earlier run loaded last, if not the same.
        """
        # Before anything else, because catalog, environments and endpoints all name the port.
        listening = loopback_socket()
        port: int = listening.getsockname()[1]
        replica = self._replica(service, before)
        loadable = replica if service.model.kind in ("llm", "embedding") else None
        endpoint = Endpoint(service.name, replica.queue, timeout=service.scale.timeout, loadable=loadable)
        self._endpoints[port] = endpoint
        if service.command.grpc:
            self._rpc_endpoints[port] = endpoint
        address = f"{arguments.LOOPBACK}:{port}"
        self._hosts |= dict.fromkeys(cluster_hosts(service.name, service.namespace), address)
        self._hosted[service.name] = hosted = _Hosted(service, port, replica)
        model = hosted.model(service)
        await self._listener.listen(listening)
        self._board.add(service.name, [model] if _listed(service) else [])
        if self._runs and hosted.task is None:  # this may just have begun to run, and started it
            self._start(hosted)
        return model

    def renew(self, service: Service) -> None:
        """Let a service load the newest content of its model's folder, as it was planned for that."""
        hosted = self._hosted[service.name]
        hosted.service = service
        self._board.serve(service.name, [hosted.model(service)] if _listed(service) else [])
        hosted.replica.renew(service)

    def look(self, name: str) -> None:
        """Let a service tell whether the folder of its model is there."""
        self._hosted[name].replica.folder.tell()

    def try_out(self, name: str) -> None:
        """Start a service once without a request, so that what is wrong with its model is known."""
        self._hosted[name].replica.try_out()

    async def remove(self, name: str) -> None:
        """Take a service out of the catalog, finish what is in flight on its replica, and forget it."""
        hosted = self._hosted[name]
        self._board.serve(name, [])
        hosted.replica.queue.stop(partial(ApiError, "model_not_found", f"{name} was removed from this machine"))
        if hosted.task is not None:
            hosted.task.cancel()
            await asyncio.wait({hosted.task})
        del self._hosted[name]
        self._listener.close(hosted.port)
        self._endpoints.pop(hosted.port)
        self._rpc_endpoints.pop(hosted.port, None)
        for host in cluster_hosts(name, hosted.service.namespace):
            self._hosts.pop(host, None)
        self._board.remove(name)
        self._metrics.forget(name)

    async def run(self) -> None:
        """Run the replicas until cancelled; one that ends with an error is a bug of ours and ends the run."""
        self._runs = True
        for hosted in self._hosted.values():
            self._start(hosted)
        while True:
            self._changed.clear()
            tasks = {hosted.task for hosted in self._hosted.values() if hosted.task and not hosted.task.done()}
            changed = asyncio.ensure_future(self._changed.wait())
            done, _ = await asyncio.wait({changed, *tasks}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
            for task in done - {changed}:
                if not task.cancelled():
                    task.result()

    def reject_waiting(self) -> None:
        """Reject whoever waits for a process, and from now on whoever would have to; what runs goes on."""
        for name, hosted in self._hosted.items():
            told = f"{name} is not ready for this request, and switchyard is stopping; try again once it runs"
            hosted.replica.drain(partial(ApiError, "shutting_down", told))

    async def drain(self, grace: float) -> None:
        """Reject whoever waits, accept no more, and finish what is in flight within ``grace`` seconds."""
        self.reject_waiting()
        await self._listener.stop(grace)

    async def stop(self) -> None:
        """Stop every process; call it after ``drain``."""
        tasks = [hosted.task for hosted in self._hosted.values() if hosted.task is not None]
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                logger.error("a replica ended with an error", exc_info=outcome)

    def _start(self, hosted: _Hosted) -> None:
        hosted.task = asyncio.create_task(hosted.replica.run())
        self._changed.set()


def _listed(service: Service) -> bool:
    """Whether clients may name the service: not a step of graphs, and not the host of a repository of models."""
    return not service.hosts and service.model.kind != "step"
