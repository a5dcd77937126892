"""The outermost ASGI application of a predictor."""

import asyncio
import re

from predictors.serving.admission import Admission
from predictors.serving.faults import of_engine
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.asgi.replies import header, reply, respond_error
from switchyard.http.json_body import JSON, media_type
from switchyard.telemetry.attributes import operation_of
from switchyard.telemetry.metrics.families import Outcome
from switchyard.telemetry.trace_context import TRACEPARENT

OPENAI = "/openai"
_CONTROL = re.compile(r"/v2/repository/models/[^/]+/(load|unload)")
ONLY_VERSION = "1"  # of a model that is no repository of them; KServe's handlers know none
_VERSION = re.compile(r"(/v2/models/[^/]+)/versions/([^/]+)")

RETRY_AFTER = (b"retry-after", b"1")

# The length of the JSON before the binary tensors (V2's binary tensor extension); without it there are no such tensors.
BINARY_HEADER = b"inference-header-content-length"


class Application:
    """The outermost ASGI application: OpenAI paths go to vLLM's application, all others to KServe's.

    KServe could mount vLLM's application itself, but would run its timing middleware for every streamed chunk.
    """

    def __init__(self, *, openai: App, kserve: App, admission: Admission) -> None:
        self._openai = _with_our_errors(openai)
        self._kserve = kserve
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if version := _VERSION.match(path):
            if version[2] != ONLY_VERSION:
                await respond_error(scope, send, no_version(version[2]))
                return
            path = version[1] + path[version.end() :]
            scope = dict(scope, path=path)
        if path.startswith(OPENAI):
            # As a mount of Starlette does it: the path stays whole, and ``root_path`` says how much of it the routes do
            # not see.
            scope = _with_plain_type(dict(scope, root_path=scope.get("root_path", "") + OPENAI))
            app, protocol = self._openai, "openai"
        else:
            app, protocol = self._kserve, "v2"
            scope = as_json(scope)
        # Everything that computes is a POST. Probes and scrapes take no slot, so that a busy predictor is not taken for
        # a dead one.
        if scope["type"] != "http" or scope["method"] != "POST":
            await app(scope, receive, send)
            return
        try:
            if control := _CONTROL.fullmatch(path):
                if control[1] == "unload":
                    raise not_unloaded()
                await reply(send, 200, b"", JSON)  # it is loaded: whoever forwarded this has started the process
                return
            with self._admission.enter():
                await self._run(app, protocol, scope, receive, send)
        except ApiError as err:
            await respond_error(scope, send, err)

    async def _run(self, app: App, protocol: str, scope: Scope, receive: Receive, send: Send) -> None:
        status = 0
        whole = disconnected = False

        async def note_disconnect() -> Message:
            nonlocal disconnected
            message = await receive()
            if message["type"] == "http.disconnect" and not whole:
                disconnected = True
            return message

        async def note_status(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                if status == 503:
                    _add_retry_after(message)
            else:
                whole = not message.get("more_body", False)
            await send(message)

        record = self._admission.record(protocol, operation_of(scope["path"]), header(scope, TRACEPARENT))
        if record.traceparent:
            scope = _with_header(scope, TRACEPARENT, record.traceparent.encode())
        finished = False
        try:
            if protocol == "openai":  # vLLM watches for a disconnect itself, and responds to it with 200
                await app(scope, note_disconnect, note_status)
            else:
                await _run_until_disconnect(app, scope, note_disconnect, note_status)
            finished = not disconnected
        finally:
            record.close(_outcome(status, finished), status)


def _with_our_errors(app: App) -> App:
    """Wrap vLLM's application: its errors get our codes and sentences, in the shape of the path's protocol."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        status, body = 0, b""

        async def translate(message: Message) -> None:
            nonlocal status, body
            if not status and message["type"] == "http.response.start" and message["status"] >= 400:
                status = message["status"]
            elif not status:
                await send(message)
            else:
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    await respond_error(scope, send, of_engine(status, body, scope["path"]))

        await app(scope, receive, translate)

    return run


def not_unloaded() -> ApiError:
    """Return the error for who would unload a predictor's one model: KServe would unload it for good."""
    message = "this process serves one model, which is unloaded when the process ends: in a cluster, once it is idle"
    return ApiError("not_implemented", message)


def no_version(version: str) -> ApiError:
    """Return the error for a version that the model does not have."""
    return ApiError("model_not_found", f"there is no version {version[:80]!r} of this model; it has {ONLY_VERSION}")


async def _run_until_disconnect(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Run ``app``, but cancel it when the client disconnects.

    KServe's handlers never check the connection, so without this a request that nobody waits for would keep its slot.
    """
    body_read = asyncio.Event()
    disconnected = False

    async def receive_body() -> Message:
        if body_read.is_set():
            await asyncio.Event().wait()  # what follows the body is for the watcher below
        message = await receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            body_read.set()
        return message

    work = asyncio.ensure_future(app(scope, receive_body, send))

    async def watch() -> None:
        nonlocal disconnected
        await body_read.wait()
        while (await receive())["type"] != "http.disconnect":
            pass
        disconnected = True
        work.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        await work
    except asyncio.CancelledError:
        if not disconnected:
            raise  # the server is stopping: the await above has cancelled the work as well
    finally:
        watcher.cancel()


def _outcome(status: int, finished: bool) -> Outcome:
    if not finished or status == 0:
        return "cancelled"
    if status < 400:
        return "ok"
    return "rejected" if status < 500 else "failed"


def _add_retry_after(message: Message) -> None:
    """Add ``retry-after`` to a 503 that lacks it: KServe's handlers do not set it."""
    headers = list(message.get("headers", ()))
    if all(name.lower() != b"retry-after" for name, _ in headers):
        message["headers"] = [*headers, RETRY_AFTER]


def as_json(scope: Scope) -> Scope:
    """Return the scope with JSON as content type, for a V1 request or a V2 request without binary tensors.

    Triton reads such bodies as JSON whatever their content type, so its HTTP client and curl send none that says so;
    KServe's SDK would take the body for binary tensors.
    """
    names = {name for name, _ in scope.get("headers", ())}
    if scope["type"] != "http" or not scope["path"].endswith(("/infer", ":predict")) or BINARY_HEADER in names:
        return scope
    return _with_header(scope, b"content-type", JSON)


def _with_plain_type(scope: Scope) -> Scope:
    """Return the scope with JSON's content type as vLLM knows it, which are not all the ways to write it."""
    given = next((value for name, value in scope.get("headers", ()) if name == b"content-type"), JSON)
    return _with_header(scope, b"content-type", JSON) if given != JSON and media_type(given) == JSON else scope


def _with_header(scope: Scope, name: bytes, value: bytes) -> Scope:
    others = [(key, old) for key, old in scope["headers"] if key != name]
    return dict(scope, headers=[*others, (name, value)])
