"""The gateway as one ASGI application: hot routes go straight to their pipeline, the rest to FastAPI."""

import asyncio
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from switchyard.catalog import CatalogSource
from switchyard.gateway.context import Context, request_id
from switchyard.gateway.lookup import default_model, locator
from switchyard.gateway.meter import Meter
from switchyard.gateway.operations import pages
from switchyard.gateway.pipeline import InFlight, Pipeline
from switchyard.gateway.routes.match import Match, Missed, Router
from switchyard.gateway.routes.table import Route
from switchyard.gateway.settings import Settings
from switchyard.gateway.stages.forward import forward
from switchyard.gateway.stages.limits import limits
from switchyard.gateway.stages.listing import listing, readiness
from switchyard.gateway.stages.parse import parse
from switchyard.gateway.stages.resolve import resolve
from switchyard.gateway.upstream.retries import Opener, Retry
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.client import Client, Timeouts
from switchyard.telemetry.metrics import GatewayMetrics
from switchyard.telemetry.tracing import Tracer


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """What a gateway is built from."""

    settings: Settings
    source: CatalogSource
    client: Client
    tracer: Tracer
    registry: CollectorRegistry
    meter: Meter


def parts(settings: Settings, source: CatalogSource, client: Client, tracer: Tracer) -> Parts:
    """The parts of a gateway with a metrics registry of its own."""
    registry = CollectorRegistry()
    meter = Meter(GatewayMetrics(registry))
    return Parts(settings=settings, source=source, client=client, tracer=tracer, registry=registry, meter=meter)


def build(given: Parts) -> App:
    """The ASGI application; call it in the event loop that will serve it."""
    settings, source, meter = given.settings, given.source, given.meter
    locate = locator(source)
    in_flight = InFlight()
    meter.metrics.in_flight.set_function(lambda: in_flight.now)
    timeouts = Timeouts(
        connect=settings.connect_seconds, first_byte=settings.first_byte_seconds, idle=settings.idle_seconds
    )
    retry = Retry(attempts=settings.retry_attempts, seconds=settings.retry_seconds)
    opener = Opener(given.client, locate, timeouts, retry, meter.retried)
    stages = (
        limits(
            in_flight=lambda: in_flight.now,
            max_in_flight=settings.max_in_flight,
            max_body_bytes=settings.max_body_bytes,
            body_seconds=settings.body_seconds,
        ),
        parse(default_model=lambda: default_model(source, settings.default_model)),
        resolve(locate=locate),
        forward(opener=opener, meter=meter, heartbeat_seconds=settings.heartbeat_seconds),
    )
    models = Pipeline(stages, meter=meter, tracer=given.tracer, in_flight=in_flight)
    known = (readiness(locate=locate, opener=opener), listing(source=source))
    answers = Pipeline(known, meter=meter, tracer=given.tracer, in_flight=InFlight())
    missing = Pipeline([_refuse], meter=meter, tracer=given.tracer, in_flight=InFlight())
    return _Gateway(models, answers, missing, pages(source, given.registry))


class _Gateway:
    def __init__(self, models: Pipeline, answers: Pipeline, missing: Pipeline, other: App) -> None:
        self._pipelines = {"model": models, "gateway": answers}
        self._missing = missing
        self._other = other
        self._router = Router()
        self._time = asyncio.get_running_loop().time

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._router.match(scope["method"], scope["path"])
        if isinstance(found, Missed):
            context = Context(scope, receive, send, _missed(found), {"allow": found.allow}, self._time())
            await self._missing.run(context)
        elif found.route.by == "pages":
            await self._page(scope, receive, send)
        else:
            await self._pipelines[found.route.by].run(self._context(scope, receive, send, found))

    def _context(self, scope: Scope, receive: Receive, send: Send, found: Match) -> Context:
        return Context(scope, receive, send, found.route, found.params, self._time())

    async def _page(self, scope: Scope, receive: Receive, send: Send) -> None:
        identifier = request_id(dict(scope["headers"]).get(b"x-request-id"))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", identifier)]
            await send(message)

        await self._other(scope, receive, send_with_id)


def _missed(missed: Missed) -> Route:
    """Stands for all paths that are not served: one value in metrics, whatever clients try."""
    return Route(method="", path="unknown", summary="", shape=missed.shape, by="gateway")


async def _refuse(context: Context) -> None:
    method, path, allow = context.scope["method"], context.scope["path"][:200], context.params["allow"]
    if allow:
        raise ApiError("method_not_allowed", f"{path} answers {allow}, not {method}", allow=allow)
    raise ApiError("not_found", f"{method} {path} is not served here; GET /docs lists what is")
