"""The outermost ASGI application of a predictor."""

import asyncio
import time

from predictors.serving.admission import Admission
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.asgi.replies import header, respond_error
from switchyard.telemetry.metrics import Outcome
from switchyard.telemetry.tracing import Tracer

OPENAI = "/openai"


RETRY_AFTER = (b"retry-after", b"1")


# How long the JSON before the binary tensors is (V2's binary tensor extension); its absence means that there are none.
BINARY_HEADER = b"inference-header-content-length"


class Door:
    """The outermost ASGI application: OpenAI paths go straight to vLLM's application, all others to KServe's.

    Going straight keeps KServe's timing middleware out of every streamed chunk.
    """

    def __init__(self, *, openai: App, kserve: App, admission: Admission, tracer: Tracer) -> None:
        self._openai = openai
        self._kserve = kserve
        self._admission = admission
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith(OPENAI):
            scope = dict(scope, root_path=scope.get("root_path", "") + OPENAI)
            app, protocol = self._openai, "openai"
        else:
            app, protocol = self._kserve, "v2"
            scope = as_json(scope)
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        try:
            with self._admission.enter():
                await self._answer(app, protocol, scope, receive, send)
        except ApiError as err:
            await respond_error(scope, send, err)

    async def _answer(self, app: App, protocol: str, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.monotonic()
        status = 0

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == 503:
                    _say_when(message)
            await send(message)

        span = self._tracer.start("predictor", header(scope, b"traceparent"), {"http.route": scope["path"]})
        if self._tracer.enabled and span.traceparent:
            scope = _with_header(scope, b"traceparent", span.traceparent.encode())
        finished = False
        try:
            if protocol == "openai":  # vLLM watches for the client's leaving itself
                await app(scope, receive, note_status)
                finished = True
            else:
                finished = await _until_client_leaves(app, scope, receive, note_status)
        finally:
            outcome = _outcome(status, finished)
            self._admission.count(protocol, outcome, time.monotonic() - began)
            span.end(None if outcome in ("ok", "rejected") else outcome)


async def _until_client_leaves(app: App, scope: Scope, receive: Receive, send: Send) -> bool:
    """Runs ``app`` but cancels it when the client hangs up; True when it ran to its end.

    KServe's handlers never look at the connection, so without this an abandoned answer would keep its engine slot.
    """
    body_read = asyncio.Event()
    left = False

    async def receive_body() -> Message:
        if body_read.is_set():
            await asyncio.Event().wait()  # the watcher below owns what follows the body
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            body_read.set()
        return message

    work = asyncio.ensure_future(app(scope, receive_body, send))

    async def watch() -> None:
        nonlocal left
        await body_read.wait()
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        work.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        await work
    except asyncio.CancelledError:
        if not left:
            raise  # the server is stopping, and awaiting passes that on to the work
        return False
    finally:
        watcher.cancel()
    return True


def _outcome(status: int, finished: bool) -> Outcome:
    if not finished or status == 0 or status == 499:
        return "cancelled"
    if status < 400:
        return "ok"
    return "rejected" if status < 500 else "failed"


def _say_when(message: Message) -> None:
    """Adds ``retry-after`` to a refusal that lacks it: KServe's handlers do not know the header."""
    headers = list(message.get("headers", ()))
    if all(name.lower() != b"retry-after" for name, _ in headers):
        message["headers"] = [*headers, RETRY_AFTER]


def as_json(scope: Scope) -> Scope:
    """A V1 request, or a V2 request without binary tensors, is JSON, whatever it is called.

    Triton takes it so, and its HTTP client and curl send no content type that says it; KServe's SDK would take the body
    for binary tensors.
    """
    names = {name for name, _ in scope.get("headers", ())}
    if scope["type"] != "http" or not scope["path"].endswith(("/infer", ":predict")) or BINARY_HEADER in names:
        return scope
    return _with_header(scope, b"content-type", b"application/json")


def _with_header(scope: Scope, name: bytes, value: bytes) -> Scope:
    others = [(key, old) for key, old in scope["headers"] if key != name]
    return dict(scope, headers=[*others, (name, value)])
