"""Runs a request through the stages and sees to it that it ends: answered, counted, logged."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from switchyard.gateway.context import Context
from switchyard.gateway.errors import from_upstream, internal
from switchyard.gateway.meter import UNKNOWN, Meter
from switchyard.http.api_errors import ApiError, event, render
from switchyard.http.client.errors import UpstreamError
from switchyard.http.request_errors import ClientDisconnectedError
from switchyard.telemetry import logs
from switchyard.telemetry.tracing import Tracer

log = logging.getLogger(__name__)

Stage = Callable[[Context], Awaitable[None]]
CLIENT_CLOSED = 499  # nginx's number for a client that hung up; in metrics only


class InFlight:
    """How many requests are being answered now."""

    def __init__(self) -> None:
        self.now = 0


class Pipeline:
    """The stages in order; a stage that answers itself sets ``context.status`` and the rest is skipped."""

    def __init__(self, stages: Sequence[Stage], *, meter: Meter, tracer: Tracer, in_flight: InFlight) -> None:
        self._stages = tuple(stages)
        self._meter = meter
        self._tracer = tracer
        self._in_flight = in_flight

    async def run(self, context: Context) -> None:
        """Answers the request of ``context``, whatever happens."""
        logs.request_id.set(context.request_id.decode())
        if (parent := context.fields.get(b"traceparent")) is not None:
            logs.trace_id.set(parent[3:35].decode("latin-1"))  # version-traceid-parentid-flags
        self._in_flight.now += 1
        code = 0
        error: str | None = None
        if self._tracer.enabled:
            self._trace(context)
        try:
            for stage in self._stages:
                await stage(context)
                if context.status:
                    break
            code = context.status
        except ClientDisconnectedError:
            code, error = CLIENT_CLOSED, "the client hung up"
            self._meter.cancelled(_model(context))
        except asyncio.CancelledError:
            code, error = 503, "shutdown"
            raise
        except Exception as err:
            failure = _as_api_error(err, context)
            code, error = failure.status, failure.code
            await _fail(context, failure)
        finally:
            self._in_flight.now -= 1
            self._end(context, code, error)

    def _trace(self, context: Context) -> None:
        parent = context.fields.get(b"traceparent")
        context.span = self._tracer.start("gateway " + context.route.path, parent.decode("latin-1") if parent else None)

    def _end(self, context: Context, code: int, error: str | None) -> None:
        seconds = asyncio.get_running_loop().time() - context.started
        model = _model(context)
        self._meter.done(model, context.route.label, code, seconds)
        if context.span is not None:
            context.span.set("switchyard.model", model)
            context.span.set("http.response.status_code", code)
            context.span.end(error)
        if log.isEnabledFor(logging.DEBUG):
            fields = {"method": context.scope["method"], "route": context.route.path, "model": model}
            log.debug("answered", extra={**fields, "status": code, "seconds": round(seconds, 4), "error": error})


def _model(context: Context) -> str:
    return context.model.name if context.model is not None else UNKNOWN


def _as_api_error(err: Exception, context: Context) -> ApiError:
    if isinstance(err, ApiError):
        return err
    if isinstance(err, UpstreamError):
        log.warning("upstream: %s", err, extra={"model": _model(context)})
        return from_upstream(err, _model(context))
    log.error("a request failed", exc_info=err)
    return internal()


async def _fail(context: Context, error: ApiError) -> None:
    """Sends an error in the caller's shape; after the head, what can still be said."""
    if context.status == 0:
        content_type, body = render(error, context.shape)
        extra = [(b"retry-after", b"%d" % error.retry_after)] if error.retry_after is not None else []
        extra += [(b"allow", error.allow.encode())] if error.allow else []
        await context.answer(error.status, content_type, body, tuple(extra))
    elif context.stream and context.shape != "text":
        # The empty line ends an event that was cut short. No [DONE]: the answer is not complete.
        await context.send({"type": "http.response.body", "body": b"\n\n" + event(error, context.shape)})
    # Otherwise the answer stays incomplete, and the server closes the connection to say so.
