"""``python -m benchmarks.telemetry.cardinality``: what a scrape costs with 10,000 tenants and 1,000 models.

The gateway's meter, the supervisor's and the graph router's metrics record what calls of all tenants to all models
leave, as the stages do; nothing is served. Models are each called by two routes, with three codes.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context

import psutil
from prometheus_client import CollectorRegistry, generate_latest

from benchmarks.report import Figure, publish
from switchyard.gateway.meter import Meter
from switchyard.telemetry.metrics.families import Phase
from switchyard.telemetry.metrics.gateway import GatewayMetrics
from switchyard.telemetry.metrics.graph import GraphMetrics
from switchyard.telemetry.metrics.local import LocalMetrics
from switchyard.telemetry.process import registry_of

MODELS, TENANTS = 1000, 10_000
ROUTES = ("/v1/chat/completions", "/v1/messages")
CODES = (200, 429, 503)
_PHASES: tuple[Phase, ...] = ("spawn", "import", "load", "warm-up", "ready")
_STEPS = 20  # of a large graph


def gateway(registry: CollectorRegistry) -> None:
    """Record a call of each tenant, and calls by each route and with each code to each model."""
    metrics = GatewayMetrics(registry)
    meter = Meter(metrics)
    for number in range(TENANTS):
        model, tenant = f"model-{number % MODELS}", f"tenant-{number}"
        for route in ROUTES:
            for code in CODES:
                meter.done(model, route, code, "ok" if code == 200 else "failed" if code == 503 else "rejected", 0.1)
            meter.first_byte(model, route, 0.1)
        meter.first_token(model, tenant, 0.1)
        meter.per_output_token(model, 0.02)
        meter.tenant_done(tenant, "ok")
        meter.waited(model, 0.1)
        for kind in ("input", "cached_input", "output"):
            metrics.usage.tokens.labels(meter.model(model), kind).inc()
        metrics.usage.cost.labels(meter.tenant(tenant)).inc()


def supervisor(registry: CollectorRegistry) -> None:
    """Record a start of each model."""
    metrics = LocalMetrics(registry)
    for number in range(MODELS):
        model = f"model-{number}"
        metrics.follow(model, lambda: 0.0)
        metrics.held.labels(model).set(0)
        metrics.replicas.labels(model).set(1)
        metrics.starts.labels(model, "request").inc()
        for phase in _PHASES:
            metrics.start_seconds.labels(model, phase).observe(1)


def graph(registry: CollectorRegistry) -> None:
    """Record requests of a graph of many steps."""
    metrics = GraphMetrics(registry)
    for code in CODES:
        metrics.requests.labels(str(code)).inc()
    for number in range(_STEPS):
        node, step = f"node-{number}", f"step-{number}"
        metrics.node_latency.labels(node).observe(0.1)
        metrics.step_latency.labels(node, step).observe(0.1)
        for code in CODES:
            metrics.step_requests.labels(node, step, str(code)).inc()


PROCESSES: dict[str, Callable[[CollectorRegistry], None]] = {
    "gateway": gateway,
    "supervisor": supervisor,
    "graph": graph,
}


def measure(name: str) -> list[Figure]:
    """Return what one kind of process exposes, and what that costs; call it in a process of its own."""
    before = psutil.Process().memory_info().rss
    registry = registry_of("gateway")
    PROCESSES[name](registry)
    memory = psutil.Process().memory_info().rss - before
    began = time.process_time()
    page = generate_latest(registry)
    seconds = time.process_time() - began
    series = sum(not line.startswith(b"#") for line in page.splitlines())
    return [
        Figure(name=f"{name}: series", unit="series", values=(float(series),)),
        Figure(name=f"{name}: a scrape", unit="MB", values=(len(page) / 1e6,)),
        Figure(name=f"{name}: its processor time", unit="s", values=(seconds,)),
        Figure(name=f"{name}: memory of the series", unit="MB", values=(memory / 1e6,)),
    ]


def main(argv: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(description=__doc__).parse_args(argv)
    with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        found = pool.map(measure, PROCESSES, chunksize=1)
    publish("telemetry.cardinality", [figure for one in found for figure in one], {"rounds": 1})


if __name__ == "__main__":
    main()
