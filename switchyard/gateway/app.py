"""The gateway's handlers: each call finds its route and runs that route's stages."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

from switchyard.gateway.administration.model_acts import model_acts
from switchyard.gateway.admission.queues import Queues, queues_of
from switchyard.gateway.assembly.access import access_stages, administration
from switchyard.gateway.assembly.cached import cache_of, with_cache
from switchyard.gateway.assembly.counted import alerts_of, counted_stages
from switchyard.gateway.assembly.parts import Parts
from switchyard.gateway.batches.assembly import Batches
from switchyard.gateway.cache.stages import Cache
from switchyard.gateway.edges.cors import Cors
from switchyard.gateway.edges.http import http_call
from switchyard.gateway.edges.rpc import rpc_call
from switchyard.gateway.files.endpoints import files
from switchyard.gateway.keys.finder import KeyFinder
from switchyard.gateway.lookup import Locate, Visible, default_model, locator, waits_for
from switchyard.gateway.operations import pages, with_errors
from switchyard.gateway.pipeline import Proceed, Stage, pipeline
from switchyard.gateway.quota.local_shares import LocalShares
from switchyard.gateway.recordings.generations import Generations
from switchyard.gateway.responses.store import Responses
from switchyard.gateway.routes.match import Match, Missed, Router
from switchyard.gateway.routes.table import RPC_ROUTES, UNKNOWN_RPC
from switchyard.gateway.settlements import Settlements
from switchyard.gateway.stages.admit import admit
from switchyard.gateway.stages.authenticate import authorize
from switchyard.gateway.stages.background import background
from switchyard.gateway.stages.deadline import deadline
from switchyard.gateway.stages.endpoints.forward import forward
from switchyard.gateway.stages.endpoints.listing import listing, readiness
from switchyard.gateway.stages.endpoints.not_served import not_served
from switchyard.gateway.stages.endpoints.responses import responses_in_background
from switchyard.gateway.stages.endpoints.rpc_forward import rpc_forward
from switchyard.gateway.stages.endpoints.rpc_listing import rpc_listing
from switchyard.gateway.stages.endpoints.streams import resume
from switchyard.gateway.stages.limits import InFlight, limits
from switchyard.gateway.stages.observe import observe
from switchyard.gateway.stages.parse import parse
from switchyard.gateway.stages.record import Keeping, record
from switchyard.gateway.stages.resolve import resolve
from switchyard.gateway.upstream.repositories import Repositories
from switchyard.gateway.upstream.retries import Retry, UpstreamRetries
from switchyard.gateway.usage.endpoints import usage_reports
from switchyard.gateway.websocket.sockets import SocketLimits, Sockets, opened
from switchyard.http.client import Timeouts
from switchyard.http.h2.grpc_call import GrpcCall
from switchyard.http.server import Exchange


class Gateway:
    """Responds to HTTP and gRPC; create it in the event loop that serves it."""

    def __init__(self, given: Parts, sockets: SocketLimits | None = None) -> None:
        settings, ledger, metrics = given.settings, given.ledger, given.meter.metrics.usage
        self.draining = False
        self._settlements = settlements = Settlements(ledger, metrics) if ledger else None
        self._shares = LocalShares(ledger, settlements, metrics) if ledger and settlements else None
        self._alerts = alerts_of(given)
        counted: Sequence[Stage] = counted_stages(given, self._settlements, self._shares, self._alerts)
        visible = Visible(given.source, given.own)
        self._queues, in_flight = queues_of(settings, visible), InFlight(settings.max_in_flight)
        given.meter.metrics.calls.in_flight.set_function(lambda: in_flight.now)
        self._cors = Cors(settings.cors_allow_origins)
        self._router = Router()
        batches = Batches(given.storage, self._router, given.meter.metrics.batches)
        self._generations = Generations(given.recordings, given.meter.metrics.recordings) if given.recordings else None
        self._cache = cache_of(given, visible, self._generations)
        counted = with_cache(self._cache, counted)
        kept = batches, self._generations, self._cache
        self._pipelines = _pipelines(given, visible, self._queues, counted, in_flight, *kept, lambda: self.draining)
        self.batches = batches.runner(
            self._pipelines["line"],
            visible,
            KeyFinder(lambda: tenants.current, given.keys) if (tenants := given.tenants) else None,
            None if given.tenants is None else self._queues,
            lambda: in_flight.now,
        )
        self._sockets = Sockets(self._pipelines, self._cors, given.meter, sockets, keyed=given.tenants is not None)
        self._rpc_routes = {route.path: route for route in RPC_ROUTES}
        self._time = asyncio.get_running_loop().time

    def handle(self, exchange: Exchange) -> Awaitable[None]:
        """Respond to an HTTP request."""
        found = self._router.match_raw(exchange.method, exchange.path)
        if isinstance(found, Missed):
            found = Match(found.route, {"allow": found.allow})
        if exchange.upgrades and found.route.by == "socket":
            return self._sockets.serve(exchange, found)
        call = http_call(exchange, found, self._cors, self._time())
        return self._pipelines[found.route.by](call)

    def handle_rpc(self, rpc: GrpcCall) -> Awaitable[None]:
        """Respond to a gRPC call."""
        route = self._rpc_routes.get(rpc.path, UNKNOWN_RPC)
        return self._pipelines["grpc " + route.by](rpc_call(rpc, route, self._time()))

    @property
    def recording(self) -> int:
        """How many responses are made and recorded now."""
        return 0 if self._generations is None else self._generations.running

    def drain(self) -> None:
        """Take no new work of its own, and say that others should not send any."""
        self.draining = True
        if self.batches is not None:
            self.batches.drain()

    async def end_batches(self) -> None:
        """Leave batches to other gateways; connections to models are still open."""
        if self.batches is not None:
            await self.batches.aclose()

    def reject_waiting(self) -> None:
        """Reject calls that wait for a place of a full model, and from now on those that would have to."""
        self._queues.drain()

    async def aclose(self) -> None:
        """End what is made without a client, write what calls used that the store has not, and tell no more.

        The store is still open.
        """
        for one in (self._generations, self._cache, self._alerts, self._shares, self._settlements):
            if one is not None:
                await one.aclose()


def _pipelines(
    given: Parts,
    visible: Visible,
    queues: Queues,
    counted: Sequence[Stage],
    in_flight: InFlight,
    batches: Batches,
    generations: Generations | None,
    cache: Cache | None,
    is_draining: Callable[[], bool],
) -> Mapping[str, Proceed]:
    """Build the stages of each kind of route; calls of both transports share them."""
    settings, meter, locate = given.settings, given.meter, locator(visible)
    upstream = _upstream(given, locate)
    forwarded = forward(
        upstream=upstream,
        meter=meter,
        heartbeat_seconds=settings.heartbeat_seconds,
        waits_for=waits_for(given.source),
    )
    access = access_stages(given)
    common = _common(given, visible, access, in_flight)
    # After ``resolve``, which knows the model. A call counts also while it waits for a place or a model that sleeps.
    acts = model_acts(audit=given.audit, overrides=given.tenants is not None or not settings.switchyard_allow_open)
    # In a gateway without keys nobody waits: there is nobody between whom to be fair.
    admission = [admit(queues=queues, locate=locate, meter=meter, heartbeat_seconds=settings.heartbeat_seconds)]
    # Outside of what counts: a response that is sent again costs its tenant nothing.
    recorded = record(generations=generations, keeping=Keeping.of(settings), metrics=meter.metrics.recordings)
    admitted = *counted, *(admission if given.tenants else ())
    kept = Responses(generations, settings.idempotency_seconds) if generations is not None else None
    found = (acts, resolve(locate=locate, visible=visible), recorded, background(responses=kept), *admitted)
    own = _own_pipelines(given, visible, cache, common, access, upstream, is_draining)
    return {
        "model": pipeline((*common, *found, forwarded)),
        # Of batches: whose they are is known, and their owner is asked for no key.
        "line": pipeline((common[0], authorize, *common[-2:], *found, forwarded)),
        "grpc model": pipeline((*common, *found, rpc_forward(upstream=upstream, meter=meter))),
        "recordings": pipeline(
            (
                *common,
                responses_in_background(responses=kept, locate=locate),
                resume(generations=generations, locate=locate, metrics=meter.metrics.recordings),
            )
        ),
        "files": pipeline((*common, files(stored=batches.files))),
        "batches": pipeline((*common, batches.stage)),
        **own,
    }


def _common(given: Parts, visible: Visible, access: Sequence[Stage], in_flight: InFlight) -> tuple[Stage, ...]:
    """Return the stages that nearly all calls pass first.

    The order matters. ``observe`` is outermost, so that a rejection by any other stage is counted and shaped too.
    ``access`` comes next: who has no key holds no place and sends no body. ``limits`` precedes ``parse``: a full
    gateway rejects a call before it reads the body, and a slow body holds one of the places. ``parse`` precedes
    ``resolve``, as most routes name their model in the body; until the catalog has the name, metrics say ``unknown``.
    """
    settings = given.settings
    return (
        observe(meter=given.meter, tracer=given.tracer, log_requests=settings.log_requests),
        *access,
        deadline(),
        limits(in_flight, max_body_bytes=settings.max_body_bytes),
        parse(default_model=partial(default_model, visible, settings.default_model)),
    )


def _own_pipelines(
    given: Parts,
    visible: Visible,
    cache: Cache | None,
    common: Sequence[Stage],
    access: Sequence[Stage],
    upstream: UpstreamRetries,
    is_draining: Callable[[], bool],
) -> Mapping[str, Proceed]:
    """Build the stages of routes for which no model runs anything."""
    settings, meter, locate = given.settings, given.meter, locator(visible)
    repositories = Repositories(given.client)
    scheme, forget = b"https" if settings.tls else b"http", lambda: meter.keep_models(visible.kinds())
    operations = pages(given.source, given.registry, is_draining, scheme, before_scrape=forget)
    listed = listing(visible=visible, locate=locate, repositories=repositories)
    listed_over_grpc = rpc_listing(visible=visible, repositories=repositories, locate=locate, upstream=upstream)
    unserved = pipeline((common[0], not_served(Cors(settings.cors_allow_origins))))
    return {
        # No other stage: probes and scrapes count as no call in metrics and hold none of the places in flight.
        "pages": pipeline((with_errors, *access, operations) if access else (operations,)),
        "gateway": pipeline((*common, readiness(locate=locate, upstream=upstream), listed)),
        "usage": pipeline((*common, usage_reports(ledger=given.ledger))),
        "admin": pipeline((*common, *administration(given, cache))),
        "socket": pipeline((common[0], *access, opened)),
        "grpc gateway": pipeline((*common, listed_over_grpc)),
        # No ``limits``: the body of a request to a path that nothing serves is not waited for.
        **dict.fromkeys(("nobody", "grpc nobody"), unserved),
    }


def _upstream(given: Parts, locate: Locate) -> UpstreamRetries:
    settings = given.settings
    timeouts = Timeouts(
        connect=settings.connect_seconds, first_byte=settings.first_byte_seconds, idle=settings.idle_seconds
    )
    retry = Retry(attempts=settings.retry_attempts, seconds=settings.retry_seconds)
    return UpstreamRetries(given.client, locate, timeouts, retry, given.meter.retried)
