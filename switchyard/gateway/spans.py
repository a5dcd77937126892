"""The span of a call: where it stands in a trace, and what it says of the call, which is never what was asked or said.

A client's trace goes on here, but what is recorded of it is for whoever pays for the recording: unless clients are
trusted, the sampler decides on each call by itself, and of a call without a valid key nothing is recorded in a trace
that its client began. What clients send beside it (``baggage``, B3) ends here.
"""

from collections.abc import Mapping

from switchyard.gateway.call import Call
from switchyard.gateway.meter import UNKNOWN
from switchyard.gateway.routes.table import Route
from switchyard.http.usage import Usage
from switchyard.rpc.v2 import SERVICE
from switchyard.telemetry import attributes as names
from switchyard.telemetry.metrics.families import Outcome
from switchyard.telemetry.trace_context import TRACEPARENT, TRACERESPONSE, TRACESTATE, trace_id_of, valid_tracestate
from switchyard.telemetry.tracing import SERVER, Tracer, Value

_PROVIDER = "switchyard"
_UNKNOWN_CALLER = "invalid_api_key"


def begin(call: Call, tracer: Tracer) -> None:
    """Give a call its span, if it is traced, and what of it the model and the client are told."""
    given = call.fields.get(TRACEPARENT)
    if given is None and not tracer.enabled:
        return
    if given is not None and len(call.fields) != len(call.headers) and _is_repeated(call):
        given = None  # the standard takes none of several
    call.span = span = tracer.start(_name(call.route), given.decode("latin-1") if given else None, kind=SERVER)
    if span.traceparent is None:
        return
    own = span.traceparent.encode()
    call.trace_context = ((TRACEPARENT, own),)
    if given is not None and span.trace_id == trace_id_of(given.decode("latin-1")):
        state = valid_tracestate(call.fields.get(TRACESTATE))
        call.trace_context = (*call.trace_context, (TRACESTATE, state)) if state else call.trace_context
    if tracer.enabled:
        call.edge.add_headers(((TRACERESPONSE, own),))


def end(call: Call, code: int | str, outcome: Outcome, error: str | None) -> None:
    """End the span of a call that was responded to with ``code``; ``error`` is the code of the error that it got."""
    span, failed = call.span, outcome == "failed"
    if span is None:
        return
    if error == _UNKNOWN_CALLER and TRACEPARENT in call.fields:
        span.drop()  # or a stranger could make one trace as large as the store's memory
    if span.sampled or failed:
        span.update(_described(call, code, outcome, error))
    span.end(error or f"status {call.status or code}" if failed else None)


def _described(call: Call, code: int | str, outcome: Outcome, error: str | None) -> Mapping[str, Value]:
    route, model = call.route, call.model.name if call.model is not None else UNKNOWN
    said: dict[str, Value] = {
        names.MODEL: model,
        names.OUTCOME: outcome,
        names.REQUEST_ID: call.request_id.decode(),
    }
    if isinstance(code, int):
        said |= {names.METHOD: route.method, names.ROUTE: route.path}
        if code:
            said[names.STATUS] = code
    else:
        said |= {names.RPC_SYSTEM: "grpc", names.RPC_METHOD: f"{SERVICE}/{route.rpc}", names.RPC_STATUS: code}
    if call.identity is not None:
        said |= {names.TENANT: call.identity.tenant, names.KEY_ID: call.identity.key_id}
    if error is not None:
        said[names.ERROR_TYPE] = error
    if call.tier:
        said[names.TIER] = call.tier
    if operation := names.operation_of(route.upstream):
        said |= {names.OPERATION: operation, names.PROVIDER: _PROVIDER, names.REQUEST_MODEL: model}
        said[names.STREAM] = call.stream
    if call.usage is not None:
        said |= _tokens(call.usage)
    return said


def _tokens(usage: Usage) -> Mapping[str, Value]:
    if not usage.prompt_tokens:
        return {}
    said: dict[str, Value] = {
        names.INPUT_TOKENS: usage.prompt_tokens,
        names.OUTPUT_TOKENS: usage.completion_tokens,
        names.CACHED_TOKENS: usage.cached_tokens,
        names.CACHE: "hit" if usage.cached_tokens else "miss",
    }
    if usage.reasoning_tokens:
        said[names.REASONING_TOKENS] = usage.reasoning_tokens
    return said


def _name(route: Route) -> str:
    return f"{SERVICE}/{route.rpc}" if route.rpc else f"{route.method} {route.path}"


def _is_repeated(call: Call) -> bool:
    return sum(name == TRACEPARENT for name, _ in call.headers) > 1
