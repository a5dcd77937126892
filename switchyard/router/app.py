"""The HTTP handler of a graph's router."""

import asyncio
import logging
from time import perf_counter

import orjson

from switchyard.http.api_errors import ApiError, as_object, of_body, shape_of
from switchyard.http.client.errors import UpstreamError
from switchyard.http.request_errors import BadRequestError, BodyTooLargeError, BodyTooSlowError
from switchyard.http.server.exchange import Exchange
from switchyard.router.header_propagation import Propagation
from switchyard.router.meter import GraphMeter
from switchyard.router.steps.request import GraphRequest
from switchyard.router.steps.step import Target
from switchyard.telemetry import attributes
from switchyard.telemetry.tracing import SERVER, Tracer

logger = logging.getLogger(__name__)

READY = b"/readyz"
_PROTOCOLS = (b"/v1/", b"/openai/", b"/v2/")  # clients come here that know how their errors look
_JSON = (b"content-type", b"application/json")
_TEXT = (b"content-type", b"text/plain; charset=utf-8")


class App:
    """Handles every request of a router's server: ``/readyz`` itself, every other path by the graph called ``name``."""

    def __init__(
        self,
        root: Target,
        *,
        propagation: Propagation,
        meter: GraphMeter,
        tracer: Tracer,
        max_body_bytes: int,
        name: str = "",
    ) -> None:
        self.draining = False
        self._root = root
        self._propagation = propagation
        self._meter = meter
        self._tracer = tracer
        self._max_body_bytes = max_body_bytes
        self._about = {attributes.MODEL: name} if name else None

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        if exchange.path == READY:
            self._ready(exchange)
            return
        began = perf_counter()
        try:
            # Off, tracing costs this comparison only.
            status = await self._traced(exchange) if self._tracer.enabled else await self._respond(exchange, None)
        except asyncio.CancelledError:
            self._meter.cancelled()
            raise
        except UpstreamError as err:
            logger.warning("a response ended early", extra={"cause": str(err)})
            self._meter.broken()
            exchange.abort()  # its status is sent: only a connection that is cut says that the body is not whole
            return
        self._meter.responded(status, perf_counter() - began)

    def _ready(self, exchange: Exchange) -> None:
        if self.draining:
            exchange.respond(503, [_TEXT], b"shutting down\n")
        else:
            exchange.respond(200, [])

    async def _traced(self, exchange: Exchange) -> int:
        given = exchange.fields.get(b"traceparent")
        parent = given.decode("latin-1") if given is not None else None
        span = self._tracer.start("graph", parent, self._about, kind=SERVER)
        error: str | None = None
        try:
            status = await self._respond(exchange, span.traceparent)
            error = f"status {status}" if status >= 500 else None
            if span.sampled or error:
                span.set(attributes.STATUS, status)
        except UpstreamError as err:
            error = type(err).__name__
            raise
        finally:
            span.end(error)
        return status

    async def _respond(self, exchange: Exchange, traceparent: str | None) -> int:
        try:
            body = await exchange.body(self._max_body_bytes)
            request = GraphRequest(exchange.method, exchange.target, self._propagation.chosen(exchange.headers))
            response = await self._root.run(request.with_traceparent(traceparent), body)
            try:
                # A response that does not stream has often arrived whole by now: one write in place of three.
                if not response.send_if_complete(exchange):
                    await response.relay(exchange)
            finally:
                response.close()
        except ApiError as err:
            return _explain(exchange, err)
        except (BodyTooLargeError, BodyTooSlowError) as err:
            return _explain(exchange, of_body(err))
        except BadRequestError as err:
            return _explain(exchange, ApiError("invalid_http", str(err), status=err.status))
        return response.status


def _explain(exchange: Exchange, error: ApiError) -> int:
    """Respond with an error in the shape of the path's protocol, or else of KServe's router; both have ``cause``."""
    if error.status >= 500:
        logger.warning("a request failed", extra={"status": error.status, "cause": error.message})
    path = exchange.path
    body = as_object(error, shape_of(path)) if path.startswith(_PROTOCOLS) else {"error": "Failed to process request"}
    exchange.respond(error.status, [_JSON, *error.headers], orjson.dumps({**body, "cause": error.message}))
    return error.status
