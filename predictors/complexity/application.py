"""The server's handler: an OpenAI body in, the same body with ``model`` rewritten out; and KServe's probes.

Which path a body comes on does not matter, so that a graph may name any: ``/``, ``/v1/models/<name>:predict``,
``/v2/models/<name>/infer`` or the client's own ``/openai/v1/…``. Only ``/other-tier`` is different: what comes there
is addressed to one tier, which did not answer, and goes back addressed to the other.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from predictors.complexity.tiers import conversation
from predictors.complexity.tiers.affinity import CONVERSATION_HEADER
from predictors.complexity.tiers.conversation import MalformedBodyError
from predictors.complexity.tiers.decider import Decider, Decision, RoutingRequest
from predictors.complexity.tiers.shadow import Shadow
from switchyard.http.api_errors import ApiError, Shape, of_body, shape_of
from switchyard.http.headers import TENANT, Header
from switchyard.http.json_body import parse_object
from switchyard.http.json_cost import check_json
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError
from switchyard.http.server import Exchange
from switchyard.telemetry import attributes
from switchyard.telemetry.exposition import exposition
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.metrics.routing import RoutingMetrics
from switchyard.telemetry.tracing import SERVER, Tracer

logger = logging.getLogger(__name__)

JSON = b"application/json"
# Believed as they are: a client's own headers of this prefix end at the gateway.
POLICY_HEADER = b"x-switchyard-policy"
OTHER_TIER = b"/other-tier"
PROTOCOL = "openai"


class Meter:
    """Counts decisions and what they took."""

    def __init__(self, model: str, registry: CollectorRegistry) -> None:
        self.inference = InferenceMetrics(registry)
        self.routing = RoutingMetrics(registry)
        for tier in ("fast", "reasoning"):
            self.routing.moves.labels(tier)  # at 0: a rate sees the first move too
        self._model = model
        self.in_flight = self.inference.in_flight.labels(model)
        self._latency = self.inference.latency.labels(model, PROTOCOL)

    def decided(self, decision: Decision, share: float, seconds: float) -> None:
        self.routing.decisions.labels(decision.tier, decision.reason).inc()
        self.routing.share.set(share)
        self.routing.seconds.observe(seconds)
        if decision.score is not None:
            self.routing.score.observe(decision.score)
        if decision.moved:
            self.routing.moves.labels(decision.tier).inc()

    def answered(self, outcome: str, seconds: float) -> None:
        self.inference.requests.labels(self._model, PROTOCOL, outcome).inc()
        self._latency.observe(seconds)


class Application:
    """Addresses requests; while it is ``draining`` it is not ready, and still responds."""

    def __init__(
        self,
        *,
        name: str,
        decider: Decider,
        shadow: Shadow | None,
        meter: Meter,
        registry: CollectorRegistry,
        tracer: Tracer,
        max_body_bytes: int,
        max_requests: int,
    ) -> None:
        self._name = name
        self._decider = decider
        self._shadow = shadow
        self._meter = meter
        self._registry = registry
        self._tracer = tracer
        self.draining = False
        self._max_body_bytes = max_body_bytes
        self._max_requests = max_requests
        self._in_flight = 0

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        if exchange.method != b"POST":
            self._page(exchange)
            return
        began, outcome = time.perf_counter(), "failed"
        decided: tuple[RoutingRequest, Decision] | None = None
        self._in_flight += 1
        self._meter.in_flight.inc()
        try:
            decided = await self._decide_on(exchange, began)
            outcome = "ok"
        except ApiError as err:
            outcome = "rejected"
            exchange.respond_error(err, _shape(exchange))
        except BadRequestError:
            outcome = "rejected"
            raise
        except asyncio.CancelledError:  # the client disconnected
            outcome = "cancelled"
            raise
        finally:
            self._in_flight -= 1
            self._meter.in_flight.dec()
            self._meter.answered(outcome, time.perf_counter() - began)
        if decided is not None:
            await self._decider.remember(*decided)  # after the response, which need not wait for it

    async def _decide_on(self, exchange: Exchange, began: float) -> tuple[RoutingRequest, Decision] | None:
        # Counted before the body is read, for a body that comes slowly holds as much as a decision.
        if self._in_flight > self._max_requests:
            raise ApiError("overloaded", f"{self._max_requests} requests are being decided on; try again shortly")
        headers = dict(exchange.headers)
        body = await self._body(exchange)
        model = body.get("model")
        if not isinstance(model, str | None):
            raise ApiError("invalid_value", "`model` must be a text: a model's name, or `auto`")
        tiers = self._decider.tiers
        failed = exchange.path == OTHER_TIER
        # A name of somebody else's model is the graph's business: passed through, not decided on, nor remembered.
        if not failed and model is not None and model not in (tiers.fast, tiers.reasoning, self._name, *tiers.auto):
            _respond(exchange, 200, orjson.dumps(body), [(b"x-switchyard-reason", b"explicit-model")])
            return None
        try:
            read = conversation.read(body)
        except MalformedBodyError as err:
            raise ApiError("invalid_value", str(err)) from err
        request = RoutingRequest(
            body=body,
            conversation=read,
            policy=_text(headers, POLICY_HEADER),
            tenant=_text(headers, TENANT),
            named=_text(headers, CONVERSATION_HEADER),
        )
        decision = await self._decide(request, failed, _text(headers, b"traceparent"), began)
        _respond(exchange, 200, orjson.dumps({**body, "model": tiers.model(decision.tier)}), self._told(decision))
        if self._shadow is not None and decision.reason == "classifier" and decision.tier == "fast":
            self._shadow.offer(body, read)
        return request, decision

    async def _decide(self, request: RoutingRequest, failed: bool, traceparent: str, began: float) -> Decision:
        span = self._tracer.start("complexity", traceparent or None, kind=SERVER)
        decision = self._decider.fail_over(request) if failed else await self._decider.decide(request)
        if decision is None:
            span.end()
            raise ApiError(
                "invalid_value", f"{OTHER_TIER.decode()} takes a body whose `model` is one of the two tiers'"
            )
        seconds, share = time.perf_counter() - began, self._decider.share.current
        self._meter.decided(decision, share, seconds)
        if span.sampled:
            span.set(attributes.MODEL, self._name)
            span.set(attributes.TIER, decision.tier)
            span.set(attributes.REASON, decision.reason)
        span.end()
        said = {"tier": decision.tier, "reason": decision.reason, "share": round(share, 3)}
        score = {} if decision.score is None else {"score": round(decision.score, 3)}
        logger.info("decided", extra={**said, **score, "seconds": round(seconds, 6)})
        return decision

    def _told(self, decision: Decision) -> list[Header]:
        headers = [
            (b"x-switchyard-tier", decision.tier.encode()),
            (b"x-switchyard-reason", decision.reason.encode()),
            (b"x-switchyard-share", b"%.3f" % self._decider.share.current),
        ]
        if decision.score is not None:
            headers.append((b"x-switchyard-score", b"%.3f" % decision.score))
        return headers

    async def _body(self, exchange: Exchange) -> Mapping[str, Any]:
        try:
            raw = await exchange.body(self._max_body_bytes)
        except (BodyTooLargeError, BodyTooSlowError) as err:
            raise of_body(err, "send less, or raise MAX_BODY_BYTES") from err
        await check_json(raw)
        return parse_object(raw)

    def _page(self, exchange: Exchange) -> None:
        path = exchange.path.decode("latin-1")
        if path == "/metrics":
            page, kind = exposition(self._registry, exchange.fields.get(b"accept"))
            _respond(exchange, 200, page, kind=kind)
        elif path in ("/", "/v2/health/live"):
            _respond(exchange, 200, b'{"live":true}')
        elif path in ("/v2/health/ready", f"/v2/models/{self._name}/ready", f"/v1/models/{self._name}"):
            ready = not self.draining
            _respond(exchange, 200 if ready else 503, orjson.dumps({"name": self._name, "ready": ready}))
        elif path == f"/v2/models/{self._name}":
            described = {"name": self._name, "versions": [], "platform": "switchyard-complexity"}
            _respond(exchange, 200, orjson.dumps(described | {"inputs": [], "outputs": []}))
        elif path == "/v2":
            _respond(exchange, 200, orjson.dumps({"name": self._name, "version": "1", "extensions": []}))
        else:
            method = exchange.method.decode("latin-1")
            sentence = f"{method} {path[:80]} is not served here; POST an OpenAI request to any path"
            exchange.respond_error(ApiError("not_found", sentence))


def _shape(exchange: Exchange) -> Shape:
    """Return the error shape of OpenAI or Anthropic: bodies are theirs on every path."""
    return "anthropic" if shape_of(exchange.path) == "anthropic" else "openai"


def _respond(exchange: Exchange, status: int, body: bytes, headers: Sequence[Header] = (), kind: bytes = JSON) -> None:
    exchange.respond(status, [(b"content-type", kind), *headers], body)


def _text(headers: Mapping[bytes, bytes], name: bytes) -> str:
    return headers.get(name, b"").decode("latin-1")
