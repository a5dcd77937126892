"""Stage: asks the model and passes its answer on."""

import asyncio
from collections.abc import Callable

import orjson

from switchyard.gateway.context import Context
from switchyard.gateway.meter import Meter
from switchyard.gateway.pipeline import Stage
from switchyard.gateway.routes.short_forms import Form
from switchyard.gateway.upstream.heartbeats import open_with_heartbeats
from switchyard.gateway.upstream.retries import Opener
from switchyard.gateway.upstream.sse import Events
from switchyard.http.api_errors import CODES, ApiError, event
from switchyard.http.asgi.disconnect import HangUp
from switchyard.http.asgi.relay import relay_body
from switchyard.http.client import Response
from switchyard.http.client.errors import ConnectError, ConnectionClosedError, UpstreamError, UpstreamTimeoutError
from switchyard.http.headers import NOT_RETURNED, filtered

_DROPPED = NOT_RETURNED | {b"x-request-id"}
_DROPPED_FROM_STREAMS = _DROPPED | {b"content-length"}  # an error event may follow what the model sent
_DROPPED_FROM_FORMS = _DROPPED | {b"content-type", b"content-length", b"content-encoding"}
_DONE = b"data: [DONE]\n\n"
_GRAPH_SECONDS = 10.0  # well within the minute after which proxies give up on a silent connection
# What Knative's proxies answer in plain text in place of a pod that has gone, is not there or takes too long.
_IN_ITS_PLACE: dict[int, type[UpstreamError]] = {
    502: ConnectionClosedError,
    503: ConnectError,
    504: UpstreamTimeoutError,
}


def forward(*, opener: Opener, meter: Meter, heartbeat_seconds: float) -> Stage:
    """A stream to a model that is not ready gets its head and comments at once; everything else waits for the model.

    Whether the models behind a graph are ready is not known here, so its streams wait some seconds for the real head,
    which says what the graph decided.
    """
    time = asyncio.get_running_loop().time

    async def stage(context: Context) -> None:
        model, route = context.model, context.route
        assert model is not None
        asleep = model.state.phase != "ready"
        waking = context.stream and route.shape != "text" and (asleep or model.kind == "graph")
        with HangUp(context.receive):
            if waking:
                response = await open_with_heartbeats(
                    context,
                    opener.open,
                    seconds=heartbeat_seconds,
                    patience=0 if asleep else _GRAPH_SECONDS,
                    on_heartbeat=meter.heartbeat,
                )
            else:
                response = await opener.open(context)
            meter.first_byte(model.name, route.path, time() - context.started)
            try:
                await _pass_on(context, response)
            finally:
                response.close()

    return stage


async def _pass_on(context: Context, response: Response) -> None:
    form = context.route.form
    instead = _IN_ITS_PLACE.get(response.status)
    if instead is not None and (response.header(b"content-type") or b"text/plain").startswith(b"text/plain"):
        # The text stays out of errors and logs: it may be anybody's, and repeat what was asked.
        raise instead(f"{context.model_name} is answered for with {response.status} in plain text")
    if context.status and not _is_stream(response):
        await _explain_in_stream(context, response)
    elif form is not None:
        await _translate(context, response, form)
    else:
        if not context.status:
            dropped = _DROPPED_FROM_STREAMS if context.stream else _DROPPED
            await context.start(response.status, filtered(response.headers, dropped))
        await relay_body(response, context.send)


def _is_stream(response: Response) -> bool:
    return response.status == 200 and (response.header(b"content-type") or b"").startswith(b"text/event-stream")


async def _explain_in_stream(context: Context, response: Response) -> None:
    """The model's plain answer, most likely an error, after the head of a stream was sent: as one event."""
    data = await response.read()
    try:
        payload = orjson.loads(data)
    except orjson.JSONDecodeError:
        payload = None
    if isinstance(payload, dict) and (response.status == 200 or "error" in payload):
        body = b"data: " + orjson.dumps(payload) + b"\n\n"
    else:
        body = event(_refusal(context, response.status, data), context.shape)
    await context.send({"type": "http.response.body", "body": body + _DONE})


def _refusal(context: Context, status: int, data: bytes) -> ApiError:
    """The model's own error answer as one of ours, its sentence and status kept."""
    try:
        found = orjson.loads(data)["error"]
        message = str(found["message"] if isinstance(found, dict) else found)
    except (ValueError, LookupError, TypeError):
        message = f"model {context.model_name} answered with status {status}"
    error = ApiError("upstream_invalid", message)
    error.status = status if status >= 400 else CODES["upstream_invalid"]
    return error


async def _translate(context: Context, response: Response, form: Form) -> None:
    if response.status != 200:
        error = _refusal(context, response.status, await response.read())
        after = response.header(b"retry-after") or b""
        error.retry_after = int(after) if after.isdigit() else None
        raise error
    headers = filtered(response.headers, _DROPPED_FROM_FORMS)
    if not context.stream:
        body = form.answer(await response.read())
        await context.answer(200, b"application/json", body, tuple(headers))
        return
    if not context.status:
        content_type = b"text/plain; charset=utf-8" if form.text else b"text/event-stream; charset=utf-8"
        await context.start(200, [*headers, (b"content-type", content_type)])
    await _translate_stream(context, response, form.frame)


async def _translate_stream(context: Context, response: Response, frame: Callable[[bytes], bytes]) -> None:
    events = Events()
    async for data in response:
        out = b"".join([_frame(context, found, frame) for found in events.feed(data)])
        if out:
            await context.send({"type": "http.response.body", "body": out, "more_body": True})
    await context.send({"type": "http.response.body", "body": b""})


def _frame(context: Context, data: bytes, frame: Callable[[bytes], bytes]) -> bytes:
    if data.startswith(b'{"error"'):
        raise _refusal(context, CODES["upstream_invalid"], data)
    return frame(data)
