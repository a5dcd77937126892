"""Stage: asks the model over HTTP and passes its response on."""

import asyncio
from collections.abc import Callable

import orjson

from switchyard.gateway.call import Call, Usage
from switchyard.gateway.meter import Meter
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.routes.short_forms import Form
from switchyard.gateway.upstream.heartbeats import open_with_heartbeats
from switchyard.gateway.upstream.retries import UpstreamRetries
from switchyard.gateway.upstream.sse import Events, EventTooLongError
from switchyard.http.api_errors import CODES, ApiError, event
from switchyard.http.client import Response
from switchyard.http.client.errors import ConnectError, ConnectionClosedError, UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import MODEL_TO_CLIENT, MODEL_TO_FORM, MODEL_TO_STREAM

_DONE = b"data: [DONE]\n\n"
_GRAPH_SECONDS = 10.0  # well within the minute after which proxies give up on a silent connection
# What Knative's proxies answer in plain text in place of a pod that has gone, is not there or takes too long.
_IN_ITS_PLACE: dict[int, type[UpstreamError]] = {
    502: ConnectionClosedError,
    503: ConnectError,
    504: UpstreamTimeoutError,
}


def forward(*, upstream: UpstreamRetries, meter: Meter, heartbeat_seconds: float) -> Stage:
    """A stream to a model that is not ready starts with comments at once; everything else waits for the model.

    Whether the models behind a graph are ready is not known here, so its streams wait some seconds for the real
    headers, which say what the graph decided.
    """
    time = asyncio.get_running_loop().time

    async def stage(call: Call, proceed: Proceed) -> None:
        model, route = call.model, call.route
        assert model is not None
        asleep = model.state.phase != "ready"
        if call.stream and route.shape != "text" and (asleep or model.kind == "graph"):
            response = await open_with_heartbeats(
                call,
                upstream.open,
                seconds=heartbeat_seconds,
                patience=0 if asleep else _GRAPH_SECONDS,
                on_heartbeat=meter.heartbeat,
            )
        else:
            response = await upstream.open(call)
        meter.first_byte(model.name, route.path, time() - call.started)
        try:
            await _pass_on(call, response)
        finally:
            response.close()

    return stage


async def _pass_on(call: Call, response: Response) -> None:
    form, edge = call.route.form, call.edge
    instead = _IN_ITS_PLACE.get(response.status)
    if instead is not None and (response.header(b"content-type") or b"text/plain").startswith(b"text/plain"):
        # The text stays out of errors and logs: it may be anybody's, and repeat what was asked.
        raise instead(f"{call.model_name} is answered for with {response.status} in plain text")
    if edge.started and not _is_stream(response):
        await _explain_in_stream(call, response)
    elif form is not None:
        await _translate(call, response, form)
    elif response.complete and not edge.started:  # nothing can follow what lies here
        edge.respond(response.status, MODEL_TO_STREAM.passed(response.headers), response.read_nowait())
    else:
        if not edge.started:
            edge.start(response.status, (MODEL_TO_STREAM if call.stream else MODEL_TO_CLIENT).passed(response.headers))
        await response.pipe(edge)
        edge.end()


def _is_stream(response: Response) -> bool:
    return response.status == 200 and (response.header(b"content-type") or b"").startswith(b"text/event-stream")


async def _explain_in_stream(call: Call, response: Response) -> None:
    """The model's plain response, most likely an error, after the start of a stream: as one event."""
    data = await response.read()
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError:
        payload = None
    if isinstance(payload, dict) and (response.status == 200 or "error" in payload):
        body = b"data: " + orjson.dumps(payload) + b"\n\n"
    else:
        body = event(_error_of(call, response.status, data), call.route.shape)
    call.edge.write(body + _DONE)
    call.edge.end()


def _error_of(call: Call, status: int, data: bytes) -> ApiError:
    """The model's own error response as one of ours, its sentence and status kept."""
    try:
        found = orjson.loads(data)["error"]
        message = str(found["message"] if isinstance(found, dict) else found)
    except (ValueError, LookupError, TypeError):
        message = f"model {call.model_name} answered with status {status}"
    return ApiError("upstream_invalid", message, status=status if status >= 400 else CODES["upstream_invalid"])


async def _translate(call: Call, response: Response, form: Form) -> None:
    if response.status != 200:
        error = _error_of(call, response.status, await response.read())
        after = response.header(b"retry-after") or b""
        error.retry_after = int(after) if after.isdigit() else None
        raise error
    headers = MODEL_TO_FORM.passed(response.headers)
    if not call.stream:
        whole = orjson.loads(await response.read())
        call.usage = Usage.of(whole.get("usage"))
        call.edge.respond(200, [*headers, (b"content-type", b"application/json")], form.response(whole))
        return
    if not call.edge.started:
        content_type = b"text/plain; charset=utf-8" if form.text else b"text/event-stream; charset=utf-8"
        call.edge.start(200, [*headers, (b"content-type", content_type)])
    await _translate_stream(call, response, form.frame)


async def _translate_stream(call: Call, response: Response, frame: Callable[[bytes], bytes]) -> None:
    events = Events()
    async for data in response:
        try:
            found = events.feed(data)
        except EventTooLongError as err:
            raise ApiError("upstream_invalid", f"model {call.model_name}: {err}") from err
        out = b"".join([_frame(call, one, frame) for one in found])
        if out:
            call.edge.write(out)
            await call.edge.drain()
    call.edge.end()


def _frame(call: Call, data: bytes, frame: Callable[[bytes], bytes]) -> bytes:
    if data.startswith(b'{"error"'):
        raise _error_of(call, CODES["upstream_invalid"], data)
    return frame(data)
