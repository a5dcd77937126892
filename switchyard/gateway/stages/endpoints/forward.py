"""Stage: sends the request to the model over HTTP and forwards its response."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson

from switchyard.gateway.call import Call
from switchyard.gateway.errors import code_of, from_model, is_in_shape, json_object, model_code
from switchyard.gateway.meter import Meter
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.short_forms import Form
from switchyard.gateway.upstream.heartbeats import heartbeats, waking
from switchyard.gateway.upstream.retries import UpstreamRetries
from switchyard.gateway.upstream.stream_watch import StreamWatch, ends_in_error
from switchyard.gateway.upstream.timing import Timing
from switchyard.gateway.usage.counting import ResponseUsage
from switchyard.http.api_errors import CODES, ApiError, error_event, event
from switchyard.http.client import Response
from switchyard.http.client.errors import ConnectError, ConnectionClosedError, UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import MODEL_TO_CLIENT, MODEL_TO_FORM, MODEL_TO_STREAM, Header
from switchyard.http.sse import Events, EventTooLongError

_DONE = b"data: [DONE]\n\n"
_METADATA = frozenset(("/v2/models/{model}", "/v2/models/{model}/versions/{version}"))
_TEXT_BYTES = 1000  # of an error in plain text: a sentence, not a page
_GRAPH_SECONDS = 10.0  # well within the minute after which proxies close a silent connection
_FAILED_SECONDS = 1.0  # a model that still fails says so at once, with a status of its own
# What Knative's proxies respond in plain text for a pod that was lost, is not there or takes too long.
_PROXY_ERRORS: dict[int, type[UpstreamError]] = {
    502: ConnectionClosedError,
    503: ConnectError,
    504: UpstreamTimeoutError,
}


def forward(
    *, upstream: UpstreamRetries, meter: Meter, heartbeat_seconds: float, waits_for: Callable[[str], str]
) -> Stage:
    """Send the request to the model; start a stream with comments while the model is not ready.

    All other calls wait for the model. A graph's stream waits ``_GRAPH_SECONDS`` for the real headers first, which say
    what the graph decided: whether its models are ready is not known here. A failed model's waits ``_FAILED_SECONDS``.
    """
    time = asyncio.get_running_loop().time

    async def stage(call: Call, proceed: Proceed) -> None:
        model, route = call.model, call.route
        assert model is not None
        if model.kind == "graph" and route.path in _METADATA:
            # Its tensors are its steps', and a router would send this to them as if it were an inference.
            metadata = {"name": model.name, "versions": ["1"], "platform": "graph", "inputs": [], "outputs": []}
            call.edge.respond(200, [(b"content-type", b"application/json")], orjson.dumps(metadata))
            return
        phase = model.state.phase
        # Plain text has no comments: a heartbeat would be part of what the model says. What waits without a stream
        # stays silent, because a status that has been sent cannot become the model's error any more.
        if call.stream and route.shape != "text" and (phase != "ready" or model.kind == "graph"):
            with heartbeats(
                call,
                seconds=heartbeat_seconds,
                patience={"ready": _GRAPH_SECONDS, "failed": _FAILED_SECONDS}.get(phase, 0),
                reason=lambda: waking(call.model_name, waits_for(call.model_name)),
                on_heartbeat=meter.heartbeat,
            ):
                response = await upstream.open(call)
        else:
            response = await upstream.open(call)
        call.status = response.status
        timing = Timing(call, meter, time, streams=call.stream)
        if response.status < 400 and (response.complete or not response.is_events):
            timing.began()
        usage = None if call.settle is None else ResponseUsage(call, response)
        call.body = b""  # it is not sent again, and a stream may go on for long
        call.edge.release()
        # However this ends, an unfinished response closes its connection: that is how the model, and so its engine,
        # learns of a client that disconnected.
        try:
            await _respond(call, response, usage, timing)
        finally:
            if usage is not None:
                usage.finish(response)  # of one that was cut
            response.close()

    return stage


async def _respond(call: Call, response: Response, usage: ResponseUsage | None, timing: Timing) -> None:
    form, edge = call.route.form, call.edge
    proxy_error = _PROXY_ERRORS.get(response.status)
    if proxy_error is not None and (response.header(b"content-type") or b"text/plain").startswith(b"text/plain"):
        # The text stays out of errors and logs: it may come from anywhere, and repeat what the client sent.
        raise proxy_error(f"a proxy before {call.model_name} responded with {response.status} in plain text")
    # The most special case first. After heartbeats the status is 200 for good, so whatever comes has to be said in the
    # stream.
    if edge.started and not _is_stream(response):
        await _explain_in_stream(call, response)
    elif form is not None:
        await _translate(call, response, form, usage, timing)
    elif response.status >= 400:
        await _respond_error(call, response)
    elif response.complete and not edge.started:
        # Headers and body came in one read: they leave in one write, with the length that the body has.
        body = await _settle(call, response, usage, response.read_nowait())
        call.broken = response.is_events and ends_in_error(body)
        edge.respond(response.status, MODEL_TO_STREAM.passed(response.headers), body)
    else:
        if not edge.started:
            # Until a byte of the body is there, a model that fails can still become a 502 with a sentence. Events do
            # not wait: their first may take minutes, and a last one can say what went wrong.
            if not response.is_events:
                await response.begun()
            headers = MODEL_TO_STREAM if call.stream or response.is_events else MODEL_TO_CLIENT
            edge.start(response.status, headers.passed(response.headers))
        await _pipe(call, response, usage, timing)
        edge.end()


async def _pipe(call: Call, response: Response, usage: ResponseUsage | None, timing: Timing) -> None:
    edge = call.edge
    sink = edge.sink if usage is None else usage.sink(edge.sink)
    watch = StreamWatch(sink, timing.began) if response.is_events else None
    await response.pipe(sink if watch is None else watch)
    if rest := await _settle(call, response, usage):
        edge.write(rest)
    if watch is not None:
        call.broken = watch.broken
        if not call.broken:
            timing.ended(watch.events)


async def _settle(call: Call, response: Response, usage: ResponseUsage | None, body: bytes = b"") -> bytes:
    """Let the call be counted before its last bytes go out, and return these.

    ``body`` is what ``usage`` has not seen.
    """
    if call.settle is not None:
        if usage is not None:
            body = usage.add(body) + usage.rest()
            usage.finish(response)
        await call.settle()
    return body


def _is_stream(response: Response) -> bool:
    return response.status == 200 and response.is_events


async def _explain_in_stream(call: Call, response: Response) -> None:
    """Send the model's plain response, most likely an error, as one event of a stream that has started."""
    payload, shape = _payload(response, await response.read()), call.route.shape
    if payload is not None and response.status == 200:
        explanation = b"data: " + orjson.dumps(payload) + b"\n\n"
    elif payload is not None and is_in_shape(payload, shape) and not _is_without_path(call, payload):
        explanation = error_event(payload, shape)
        call.error = model_code(response.status, payload)
    else:
        error = _error_of(call, response, payload)
        explanation = event(error, shape)
        call.error = error.code
    await _settle(call, response, None)
    # OpenAI clients get ``[DONE]`` after an error too, as vLLM ends a stream that failed.
    call.edge.write(explanation + (_DONE if shape == "openai" else b""))
    call.edge.end()


async def _respond_error(call: Call, response: Response) -> None:
    """Forward the model's error unchanged, unless clients of the caller's protocol can read nothing of it."""
    body = await response.read()
    payload = _payload(response, body)
    if payload is None or not is_in_shape(payload, call.route.shape) or _is_without_path(call, payload):
        raise _error_of(call, response, payload)
    call.error = model_code(response.status, payload)
    await _settle(call, response, None)
    call.edge.respond(response.status, MODEL_TO_STREAM.passed(response.headers), body)


def _payload(response: Response, body: bytes) -> dict[str, Any] | None:
    """Return the JSON object in a model's error; of plain text, which official clients do not show, one with it."""
    if (response.header(b"content-type") or b"").startswith(b"text/plain"):
        return {"message": body[:_TEXT_BYTES].decode(errors="replace")}
    return json_object(body)


def _is_without_path(call: Call, payload: dict[str, Any] | None) -> bool:
    """Return whether a graph's step has not the path, which in its error is the one that the router called."""
    assert call.model is not None
    return call.model.kind == "graph" and code_of(payload or {}) == "not_found"


def _error_of(call: Call, response: Response, payload: dict[str, Any] | None) -> ApiError:
    if _is_without_path(call, payload):
        path = call.path.decode("latin-1")[:200]
        sent = f"{call.method.decode('latin-1')} {path}"
        message = f"graph {call.model_name} does not serve {sent}, as its step does not; GET /docs lists what does"
        return ApiError("not_found", message)
    error = from_model(response.status, payload, call.model_name)
    after = response.header(b"retry-after") or b""
    error.retry_after = int(after) if after.isdigit() else None
    return error


async def _translate(call: Call, response: Response, form: Form, usage: ResponseUsage | None, timing: Timing) -> None:
    if response.status != 200:
        raise _error_of(call, response, _payload(response, await response.read()))
    headers = MODEL_TO_FORM.passed(response.headers)
    if not call.stream:
        body = await response.read()
        short = _converted(call, body, partial(_short, form))
        await _settle(call, response, usage, body)
        call.edge.respond(200, [*headers, (b"content-type", b"application/json")], short)
        return
    if not response.is_events:
        raise ApiError("upstream_invalid", f"model {call.model_name} did not stream its response")
    content_type = b"text/plain; charset=utf-8" if form.text else b"text/event-stream; charset=utf-8"
    await _translate_stream(call, response, form.frame, [*headers, (b"content-type", content_type)], usage, timing)


def _short(form: Form, data: bytes) -> bytes:
    return form.response(orjson.loads(data))


def _converted(call: Call, data: bytes, convert: Callable[[bytes], bytes]) -> bytes:
    try:
        return convert(data)
    except (ValueError, LookupError, TypeError, AttributeError) as err:
        raise ApiError("upstream_invalid", f"model {call.model_name} gave a response that is not OpenAI's") from err


async def _translate_stream(
    call: Call,
    response: Response,
    frame: Callable[[bytes], bytes],
    headers: list[Header],
    usage: ResponseUsage | None,
    timing: Timing,
) -> None:
    """The response starts with its first frame: until then an error has a response of its own."""
    edge, events = call.edge, Events()
    async for data in response:
        if usage is not None:
            usage.add(data)
        try:
            found = events.feed(data)
        except EventTooLongError as err:
            raise ApiError("upstream_invalid", f"model {call.model_name}: {err}") from err
        out = b"".join([_frame(call, one, frame) for one in found])
        if out:
            if not edge.started:
                timing.began()
                edge.start(200, headers)
            edge.write(out)
            # So the model is read no faster than the client takes it, in place of ``pipe``, which cannot translate.
            await edge.drain()
    if not edge.started:
        edge.start(200, headers)
    await _settle(call, response, usage)
    edge.end()


def _frame(call: Call, data: bytes, frame: Callable[[bytes], bytes]) -> bytes:
    # A failure in mid-stream is an event whose only field is ``error``, from vLLM as from our own servers.
    if data.startswith(b'{"error"'):
        raise from_model(CODES["upstream_invalid"], json_object(data), call.model_name)
    return _converted(call, data, frame)
