"""Stage: counts, times, traces and logs a call, and turns exceptions into the caller's error."""

import asyncio
import logging
from traceback import clear_frames

from switchyard.gateway import spans
from switchyard.gateway.call import Call
from switchyard.gateway.errors import as_api_error, model_code
from switchyard.gateway.meter import UNKNOWN, Meter
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.rpc.status import RpcStatus, to_http
from switchyard.telemetry import logs
from switchyard.telemetry.histogram import exemplar_of
from switchyard.telemetry.metrics.families import Outcome
from switchyard.telemetry.tracing import Tracer

logger = logging.getLogger(__name__)

_CLIENT_CLOSED = 499
_NOT_IMPLEMENTED = 501


def observe(*, meter: Meter, tracer: Tracer, log_requests: bool) -> Stage:
    """Return the outermost stage: whatever the others do, the call gets one response and is counted once."""
    level = logging.INFO if log_requests else logging.DEBUG
    time = asyncio.get_running_loop().time

    async def stage(call: Call, proceed: Proceed) -> None:
        spans.begin(call, tracer)
        trace = "" if call.span is None else call.span.traceparent or ""
        logs.begin_request(request=call.request_id.decode(), traceparent=trace)
        call.logged = log_requests
        error: str | None = None
        code: int | str = 0
        cancelled = False
        try:
            await proceed(call)
            code = call.edge.code
        except asyncio.CancelledError:
            # Nobody is there to send an error to: the client disconnected, or the grace of a drain is over.
            code, error, cancelled = call.edge.cancelled, "the client disconnected", True
            meter.cancelled(_model(call))
            raise
        except Exception as err:
            # The one place where the stages' errors become responses: they raise, and need to know no protocol.
            failure = as_api_error(err, _model(call))
            error = failure.code
            call.edge.fail(failure)
            code = call.edge.code
            # A frame that keeps its error keeps itself, and with it the body until a garbage collection.
            clear_frames(err.__traceback__)
            del failure  # which has this frame in its traceback
        finally:
            # Reached during a cancellation too, so nothing may be awaited from here on.
            seconds = time() - call.started
            outcome: Outcome = "cancelled" if cancelled else outcome_of(code, call.status, broken=call.broken)
            meter.done(_model(call), call.route.label, code, outcome, seconds, exemplar_of(call.span))
            error = error or _behind(call, code, outcome)
            if call.identity is not None and call.route.by == "model":
                meter.tenant_done(call.identity.tenant, outcome)
            spans.end(call, code, outcome, None if cancelled else error)
            if logger.isEnabledFor(level):
                _log(level, call, code, error, seconds)

    return stage


def outcome_of(code: int | str, status: int = 0, *, broken: bool = False) -> Outcome:
    """Return what became of a call whose client got ``code``, HTTP's number or gRPC's name.

    ``status`` is that of the model's response, 0 without one: after heartbeats a client's own is 200 for good.
    ``broken`` says that the model ended its stream with an error. What nothing here implements (501) is the client's
    fault: whoever asks for it again and again uses up nobody's budget of errors.
    """
    if isinstance(code, str):
        code = to_http(RpcStatus[code])
    code = max(code, status)
    if code == _CLIENT_CLOSED:
        return "cancelled"
    if broken or not code or (code >= 500 and code != _NOT_IMPLEMENTED):
        return "failed"
    return "rejected" if code >= 400 else "ok"


def _behind(call: Call, code: int | str, outcome: Outcome) -> str | None:
    """Return the code of an error that came from the model, None in a call without."""
    if call.error is not None or outcome not in ("failed", "rejected"):
        return call.error
    # Of a gRPC call, a proxy, or a stream that ends with an error: these have no code of ours.
    if isinstance(code, str):
        code = to_http(RpcStatus[code])
    return model_code(500 if call.broken else max(code, call.status, 400))


def _model(call: Call) -> str:
    return call.model.name if call.model is not None else UNKNOWN


def _log(level: int, call: Call, code: int | str, error: str | None, seconds: float) -> None:
    fields = {"method": call.method.decode(), "route": call.route.path, "model": _model(call)}
    logger.log(level, "responded", extra={**fields, "status": code, "seconds": round(seconds, 4), "error": error})
