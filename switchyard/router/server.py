"""Runs a graph's router until a signal arrives, then drains it."""

import logging

from prometheus_client import CollectorRegistry

from switchyard.http.client import Client, Limits
from switchyard.http.request_log import logged
from switchyard.http.server import Exchange, Server, ServerLimits
from switchyard.http.server.lifecycle import serve_until_signal
from switchyard.http.web_access import loopback_access
from switchyard.memory import settle_for_serving
from switchyard.router.app import App
from switchyard.router.assembly import Parts, build
from switchyard.router.graph.spec import Graph, RouterTimeouts
from switchyard.router.header_propagation import Propagation
from switchyard.router.meter import GraphMeter
from switchyard.router.settings import Settings
from switchyard.router.steps.istio import IstioSidecar
from switchyard.router.steps.retry import Retry
from switchyard.telemetry import tracing
from switchyard.telemetry.exposition import exposition
from switchyard.telemetry.metrics.graph import GraphMetrics
from switchyard.telemetry.process import registry_of

logger = logging.getLogger(__name__)

METRICS_PORT = 9464  # the default of OpenTelemetry's Prometheus exporter; Knative's sidecar listens on 9090 and 9091


async def serve(graph: Graph, settings: Settings, propagation: Propagation) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    For ``drain_seconds`` /readyz responds 503 and every response closes its connection, so that load balancers stop
    sending requests here. Then no connection is accepted, and requests in flight are finished. Each further signal
    skips one of the two waits.

    Raises:
        OSError: a port cannot be bound.
    """
    registry = registry_of("graph")
    metrics = GraphMetrics(registry)
    meter = GraphMeter(metrics)
    tracer, client = tracing.configure("graph"), Client(Limits())
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
        name=settings.k_service,
    )
    limits = server_limits(graph.timeouts, settings.max_body_bytes)
    server = Server(logged(app.handle), limits, access=loopback_access(settings.host))
    metrics.in_flight.set_function(lambda: server.in_flight)
    port = await server.listen(settings.host or None, settings.port)
    pages = await _serve_metrics(settings, registry)
    settle_for_serving()
    logger.info("serving", extra={"http": port})

    def on_drain() -> None:
        app.draining = True
        logger.info("draining", extra={"in_flight": server.in_flight})

    try:
        await serve_until_signal(server, drain_seconds=settings.drain_seconds, on_drain=on_drain)
    finally:
        # Metrics until now, so that the last requests can be scraped as well.
        if pages is not None:
            await pages.aclose()
        await client.aclose()
    logger.info("stopped")


def server_limits(timeouts: RouterTimeouts, max_body_bytes: int = 0) -> ServerLimits:
    """Convert ``routerTimeouts``; ``serverWrite`` bounds a client that reads nothing, never the length of a stream."""

    def limit(seconds: int) -> float | None:
        return float(seconds) if seconds > 0 else None

    # KServe's router gives `serverWrite` to Go's WriteTimeout, which cuts a stream that is still being written.
    return ServerLimits(
        read_seconds=limit(timeouts.server_read),
        stall_seconds=limit(timeouts.server_write),
        idle_seconds=limit(timeouts.server_idle),
        body_memory=ServerLimits.memory_for(max_body_bytes),
    )


async def _serve_metrics(settings: Settings, registry: CollectorRegistry) -> Server | None:
    """Serve metrics on a separate port, because every path of the main port belongs to the graph."""
    if settings.metrics_port == 0:
        return None

    async def handle(exchange: Exchange) -> None:
        if exchange.path == b"/metrics":
            page, content_type = exposition(registry, exchange.fields.get(b"accept"))
            exchange.respond(200, [(b"content-type", content_type)], page)
        else:
            exchange.respond(404, [], b"this port serves GET /metrics only\n")

    pages = Server(handle, access=loopback_access(settings.host))
    try:
        await pages.listen(settings.host or None, settings.metrics_port or METRICS_PORT)
    except OSError as err:
        if settings.metrics_port is not None:  # a port that nobody asked for is no reason not to serve
            raise
        logger.warning("no metrics are served; set METRICS_PORT to a free port", extra={"cause": str(err)})
        return None
    return pages
