"""A real router in front of real, scripted services, all in the test's event loop on free ports."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from prometheus_client import CollectorRegistry, generate_latest

from switchyard.backoff import Backoff
from switchyard.http.client import Client
from switchyard.http.request_log import logged
from switchyard.http.server import Exchange, Server
from switchyard.router.app import App
from switchyard.router.assembly import Parts, build
from switchyard.router.graph.spec import parse
from switchyard.router.header_propagation import compile_patterns
from switchyard.router.meter import GraphMeter
from switchyard.router.server import server_limits
from switchyard.router.steps.istio import IstioSidecar
from switchyard.router.steps.retry import Retry
from switchyard.telemetry.metrics.graph import GraphMetrics
from switchyard.telemetry.tracing import DisabledTracer, Tracer

JSON = (b"content-type", b"application/json")
Script = Callable[["Call"], Awaitable[None]]


@dataclass(frozen=True)
class Call:
    """One request as a service sees it."""

    exchange: Exchange
    body: bytes

    @property
    def name(self) -> str:
        """The service that was called: the first part of the path."""
        return self.exchange.path.decode().split("/")[1]

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.exchange.headers)

    def answer(self, payload: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
        self.exchange.respond(status, [JSON, *headers], json.dumps(payload).encode())


async def by_name(call: Call) -> None:
    """Answers with the service's name and what it was sent."""
    call.answer({"from": call.name, "got": call.body.decode()})


@dataclass
class Services:
    """Answers calls by the script for their service, and records them."""

    scripts: dict[str, Script] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    url: str = ""

    async def handle(self, exchange: Exchange) -> None:
        call = Call(exchange, await exchange.body(2**26))
        self.calls.append(call)
        try:
            await self.scripts.get(call.name, by_name)(call)
        except asyncio.CancelledError:
            self.cancelled.append(call.name)
            raise

    @property
    def names(self) -> list[str]:
        return [call.name for call in self.calls]

    def step(self, name: str, **fields: Any) -> dict[str, Any]:
        """A step that calls the service ``name``."""
        return {"name": name, "serviceUrl": f"{self.url}/{name}", **fields}


def always(status: int, payload: Any, *headers: tuple[bytes, bytes]) -> Script:
    """A service that gives one answer."""

    async def script(call: Call) -> None:
        call.answer(payload, status, *headers)

    return script


def raw(status: int, body: bytes, content_type: bytes = b"text/plain") -> Script:
    """A service that gives one answer of any bytes."""

    async def script(call: Call) -> None:
        call.exchange.respond(status, [(b"content-type", content_type)], body)

    return script


def stream(*chunks: bytes, gate: asyncio.Event | None = None) -> Script:
    """A service that streams, the last chunk only when ``gate`` opens."""

    async def script(call: Call) -> None:
        call.exchange.start(200, [(b"content-type", b"text/event-stream")])
        for number, chunk in enumerate(chunks, 1):
            if gate is not None and number == len(chunks):
                await gate.wait()
            call.exchange.write(chunk)
        call.exchange.end()

    return script


async def forever(call: Call) -> None:
    """A service that never answers."""
    await asyncio.sleep(60)


def node(kind: str, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"routerType": kind, "steps": list(steps)}


@dataclass
class Router:
    """A running router and a client of it."""

    services: Services
    server: Server
    app: App
    http: httpx.AsyncClient
    registry: CollectorRegistry
    port: int

    async def post(self, payload: Any = None, path: str = "/", **headers: str) -> httpx.Response:
        return await self.http.post(path, json=payload if payload is not None else {}, headers=headers)

    def metric(self, line: str) -> bool:
        return line in generate_latest(self.registry).decode().splitlines()


@asynccontextmanager
async def services(**scripts: Script) -> AsyncIterator[Services]:
    """Running services."""
    made = Services(scripts)
    server = Server(made.handle)
    made.url = f"http://127.0.0.1:{await server.listen('127.0.0.1', 0)}"
    try:
        yield made
    finally:
        await server.aclose()


@asynccontextmanager
async def router(
    behind: Services,
    nodes: dict[str, Any],
    *,
    timeouts: dict[str, int] | None = None,
    propagate: str = "",
    retry: Retry | None = None,
    parallel: int = 16,
    tracer: Tracer | None = None,
    max_body_bytes: int = 2**24,
    name: str = "",
) -> AsyncIterator[Router]:
    """A running router of the graph with ``nodes``."""
    graph = parse(json.dumps({"nodes": nodes, "routerTimeouts": timeouts}))
    client, registry = Client(), CollectorRegistry()
    meter = GraphMeter(GraphMetrics(registry))
    given = Parts(
        client=client,
        meter=meter,
        tracer=tracer or DisabledTracer(),
        istio_sidecar=IstioSidecar(client),
        retry=retry or Retry(backoff=Backoff(0.001, 0.001)),
        ensemble_parallel=parallel,
    )
    app = App(
        build(graph, given),
        propagation=compile_patterns(propagate)[0],
        meter=meter,
        tracer=given.tracer,
        max_body_bytes=max_body_bytes,
        name=name,
    )
    server = Server(logged(app.handle), server_limits(graph.timeouts))
    port = await server.listen("127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as http:
            yield Router(behind, server, app, http, registry, port)
    finally:
        await server.aclose()
        await client.aclose()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    """Returns when ``condition`` holds; fails the test when it does not in time."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)
