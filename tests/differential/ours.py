"""Our server with our client behind it, bare as a proxy and as the gateway has them, in front of one upstream."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from switchyard.catalog import Catalog, Model, State
from switchyard.gateway.app import Gateway
from switchyard.gateway.assembly.parts import parts
from switchyard.gateway.edges.invalid import InvalidRequests
from switchyard.gateway.server import server_limits
from switchyard.gateway.settings import Settings
from switchyard.http.client import Client
from switchyard.http.headers import CLIENT_TO_REPLICA, REPLICA_TO_CLIENT
from switchyard.http.server import Exchange, Server
from switchyard.telemetry.tracing import DisabledTracer
from tests.differential.proxies import HOST

BARE, GATEWAY = "ours", "gateway"
_BODY = 1024 * 1024
_CASES = 10_000  # as many as five digits name, and half of them


@asynccontextmanager
async def forwarding(upstream: int) -> AsyncIterator[int]:
    """The port of a server that forwards every request as it is: whole bodies in, the same out."""
    client = Client()
    origin = f"http://{HOST}:{upstream}"

    async def forward(exchange: Exchange) -> None:
        body = await exchange.body(_BODY)
        headers = CLIENT_TO_REPLICA.passed(exchange.headers)
        try:
            url = origin + exchange.target.decode("latin-1")
            response = await client.request(exchange.method, url, headers, body)
        except ValueError as err:
            exchange.respond(400, [], str(err).encode())
            return
        exchange.respond(response.status, REPLICA_TO_CLIENT.passed(response.headers), await response.read())

    server = Server(forward)
    port = await server.listen(HOST, 0)
    try:
        yield port
    finally:
        await server.aclose()
        await client.aclose()


class _Cases:
    """A catalog in which each case is a model."""

    def __init__(self, upstream: int) -> None:
        ready = State(phase="ready")
        names = [f"c{number:05}x" for number in range(_CASES)]
        url = f"http://{HOST}:{upstream}"
        self._catalog = Catalog({name: Model(name=name, kind="vision", url=url, state=ready) for name in names})

    def current(self) -> Catalog:
        return self._catalog


@asynccontextmanager
async def gateway(upstream: int) -> AsyncIterator[int]:
    """The port of the real gateway, with its stages and its routes."""
    settings, client = Settings(), Client()
    given = parts(settings, _Cases(upstream), client, DisabledTracer())
    made, invalid = Gateway(given), InvalidRequests(given.meter.metrics.access, log_requests=False)
    server = Server(made.handle, server_limits(settings), error_response=invalid)
    port = await server.listen(HOST, 0)
    try:
        yield port
    finally:
        await server.aclose()
        await client.aclose()
