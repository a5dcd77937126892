"""Runs a graph's router until it is told to stop, then lets requests finish."""

import asyncio
import gc
import logging
import signal
from collections.abc import Coroutine
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from switchyard.http.client import Client, Limits
from switchyard.http.server import Exchange, Server, ServerLimits
from switchyard.router.app import App
from switchyard.router.assembly import Parts, build
from switchyard.router.graph.spec import Graph, RouterTimeouts
from switchyard.router.header_propagation import Propagation
from switchyard.router.meter import GraphMeter
from switchyard.router.settings import Settings
from switchyard.router.steps.istio import IstioSidecar
from switchyard.router.steps.retry import Retry
from switchyard.telemetry import tracing
from switchyard.telemetry.metrics import GraphMetrics

logger = logging.getLogger(__name__)

METRICS_PORT = 9464  # the usual one of OpenTelemetry's Prometheus exporter; Knative's sidecar has 9090 and 9091


async def serve(graph: Graph, settings: Settings, propagation: Propagation) -> None:
    """Serves until SIGTERM or SIGINT.

    Then /readyz says 503 and each answer is the last of its connection, for ``drain_seconds``, so that nobody new is
    sent here; after that no connection is accepted, and what is in flight is finished. Each further signal ends a wait.

    Raises:
        OSError: a port cannot be bound.
    """
    registry = CollectorRegistry()
    metrics = GraphMetrics(registry)
    meter = GraphMeter(metrics)
    tracer = tracing.configure("graph")
    client = Client(Limits())
    parts = Parts(
        client=client,
        meter=meter,
        tracer=tracer,
        istio_sidecar=IstioSidecar(client),
        retry=Retry(),
        ensemble_parallel=settings.ensemble_parallel,
    )
    app = App(
        build(graph, parts),
        propagation=propagation,
        meter=meter,
        tracer=tracer,
        max_body_bytes=settings.max_body_bytes,
    )
    server = Server(app.handle, server_limits(graph.timeouts))
    metrics.in_flight.set_function(lambda: server.in_flight)
    signals = _signals()
    port = await server.listen(settings.host or None, settings.port)
    pages = await _serve_metrics(settings, registry)
    gc.collect()
    gc.freeze()  # what lives now lives to the end: collections during requests need not look at it again
    logger.info("serving", extra={"http": port})
    try:
        await signals.get()
        app.draining = True
        server.retire()
        logger.info("draining", extra={"in_flight": server.in_flight})
        await _first(signals.get(), asyncio.sleep(settings.drain_seconds))
        await _first(signals.get(), server.drain())
    finally:
        await server.aclose()
        if pages is not None:
            await pages.aclose()
        await client.aclose()
    logger.info("stopped")


def _signals() -> asyncio.Queue[int]:
    """Gets each SIGTERM and SIGINT."""
    came: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, came.put_nowait, number)
    return came


async def _first(*awaited: Coroutine[Any, Any, object]) -> None:
    """Returns when one of them is over; the others are cancelled."""
    tasks = [asyncio.create_task(one) for one in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def server_limits(timeouts: RouterTimeouts) -> ServerLimits:
    """``routerTimeouts`` as limits; ``serverWrite`` bounds a client that takes nothing, never a live stream."""

    def limit(seconds: int) -> float | None:
        return float(seconds) if seconds > 0 else None

    return ServerLimits(
        read_seconds=limit(timeouts.server_read),
        stall_seconds=limit(timeouts.server_write),
        idle_seconds=limit(timeouts.server_idle),
    )


async def _serve_metrics(settings: Settings, registry: CollectorRegistry) -> Server | None:
    """On a port of their own, because every path of the first one belongs to the graph."""
    if settings.metrics_port == 0:
        return None

    async def handle(exchange: Exchange) -> None:
        if exchange.path == b"/metrics":
            exchange.respond(200, [(b"content-type", CONTENT_TYPE_LATEST.encode())], generate_latest(registry))
        else:
            exchange.respond(404, [], b"GET /metrics is what is served here\n")

    pages = Server(handle)
    try:
        await pages.listen(settings.host or None, settings.metrics_port or METRICS_PORT)
    except OSError as err:
        if settings.metrics_port is not None:
            raise
        logger.warning("no metrics are served; set METRICS_PORT to a free port", extra={"cause": str(err)})
        return None
    return pages
