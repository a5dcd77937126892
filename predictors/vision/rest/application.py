"""REST: forwards requests to Triton, runs images, and controls models."""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import orjson

from predictors.serving.application import as_json
from predictors.vision.admission import Admission, AdmittedRequest
from predictors.vision.errors import triton_is_away
from predictors.vision.images.chat import images_in, with_text
from predictors.vision.images.inference import ImageInference, ImageResult, takes_images
from predictors.vision.images.request_bodies import json_object, read_image
from predictors.vision.images.usage import count_tensors
from predictors.vision.images.v2 import has_bytes, read_v2, texts_in, write_v2
from predictors.vision.rest.forwarding import STREAMED_BYTES, Forwarding, declared_length
from predictors.vision.rest.request_checks import check_body, check_headers, json_length
from predictors.vision.rest.routes import Route, route
from predictors.vision.triton.control import load_of_json, unload_of_json
from predictors.vision.triton.inputs import explaining
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.repository_index import RepositoryIndex
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.asgi.disconnect import cancel_on_disconnect
from switchyard.http.asgi.replies import JSON, TEXT, header, replay, reply, respond_error
from switchyard.http.asgi.usage import counted
from switchyard.http.request_errors import ClientDisconnectedError

logger = logging.getLogger(__name__)

Handler = Callable[[Route, Scope, Receive, Send], Awaitable[None]]

_PEEK_BYTES = 64 * 1024  # a V2 header up to this size is read before the tensors after it have arrived


class Application:
    """The outermost ASGI application; KServe's handles every path that this one does not.

    ``live`` says whether Triton responds; ``is_open`` whether this predictor takes requests (it is not stopping).
    """

    def __init__(
        self,
        *,
        kserve: App,
        forwarding: Forwarding,
        images: ImageInference,
        loaded_models: LoadedModels,
        admission: Admission,
        index: RepositoryIndex,
        metrics: Callable[[bytes | None], Awaitable[tuple[bytes, bytes]]],
        live: Callable[[], bool],
        is_open: Callable[[], bool],
    ) -> None:
        self._kserve = kserve
        self._forwarding = forwarding
        self._images = images
        self._loaded_models = loaded_models
        self._admission = admission
        self._index = index
        self._metrics = metrics
        self._live = live
        self._open = is_open
        self._handlers: dict[str, Handler] = {
            "live": self._live_page,
            "ready": self._ready_page,
            "server": self._server,
            "models": self._models,
            "index": self._index_page,
            "model": self._model,
            "model-ready": self._model_ready,
            "infer": self._infer,
            "image": self._image,
            "chat": self._chat,
            "predict": self._predict,
            "load": self._control,
            "unload": self._control,
            "metrics": self._metrics_page,
            "closed": self._closed,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._kserve(scope, receive, send)
            return
        where = route(scope["path"])
        handler = self._handlers.get(where.kind)
        if handler is None:
            await self._kserve(scope, receive, send)
            return
        begun = False

        async def note(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            check_headers(where.kind, scope)
            await handler(where, scope, receive, note)
        except Exception as err:
            if begun:  # the headers are sent: closing the connection is the only signal left
                raise
            if (error := _error_of(err)) is not None:
                await respond_error(scope, send, error)

    # -- handled here

    # Alive without Triton: a restart of this process would not bring that back, and drop what is in flight.
    async def _live_page(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, 200, b"", TEXT)

    async def _ready_page(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._open():
            raise ApiError("shutting_down", "this predictor is stopping; try again, another replica responds")
        self._require_triton()
        await reply(send, 200, b"", TEXT)

    async def _metrics_page(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        accept = header(scope, b"accept")
        page, content_type = await self._metrics(None if accept is None else accept.encode("latin-1"))
        await reply(send, 200, page, content_type)

    async def _models(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._require_triton()
        names = dict.fromkeys(row["name"] for row in await self._index.rows())
        await reply(send, 200, orjson.dumps({"models": list(names)}), JSON)

    async def _index_page(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._require_triton()
        await reply(send, 200, await self._index.page(await self._forwarding.body(scope, receive)), JSON)

    async def _model_ready(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._require_triton()
        if not await self._loaded_models.ready(where.model):
            message = f"model {where.model!r} was unloaded, or its process has ended; load it, or send it a request"
            raise ApiError("model_not_ready", message, status=400)  # as Triton has it
        await self._index.require_version(where.model, where.version)
        await reply(send, 200, b"", TEXT)

    async def _control(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _require_method(scope, "POST")
        self._require_triton()
        body = await self._forwarding.body(scope, receive)
        if where.kind == "load":
            await self._loaded_models.load(where.model, load_of_json(body))
        else:
            await self._loaded_models.unload(where.model, unload_of_json(where.model, body))
        await reply(send, 200, b"", JSON)

    async def _closed(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        if "sharedmemory" in scope["path"]:
            message = "shared memory is not served: it needs client and Triton on one machine; send tensors"
            raise ApiError("not_found", message)
        raise ApiError("not_found", f"there is no {scope['path'][:80]!r} here; V2 paths begin with /v2/models/<name>")

    # -- forwarded to Triton

    async def _server(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._require_triton()
        await self._forwarding.body(scope, receive)  # as below
        await self._forwarding.send(where.target, scope, b"", receive, send, None)

    async def _model(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._require_triton()
        async with self._loaded_models.use(where.model):
            await self._forwarding.body(scope, receive)  # of no use to Triton
            await self._forwarding.send(where.target, scope, b"", receive, send, None)

    async def _infer(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _require_method(scope, "POST")
        self._require_triton()
        protocol = "v2" if where.verb == "infer" else "generate"
        async with self._admission.admit(where.model, protocol, header(scope, b"traceparent")) as request:
            recording = _recording(request, send)
            kind = header(scope, b"content-type") or ""
            if kind.startswith("image/"):
                result = await self._infer_body(request, kind, scope, receive)
                await reply(recording, 200, write_v2(where.model, "", result), JSON)
                return
            # An image can come in place of tensors as long as the model itself takes no bytes; then the datatype in the
            # JSON is what tells them apart. It comes first, so a large body can go on after a look at its beginning.
            may_be_image = where.verb == "infer" and takes_images(request.config)
            size = declared_length(scope)
            # Whoever wants it counted, wants the sizes of the images in it too.
            streams = size >= STREAMED_BYTES and not (request.config.takes_bytes and counted.get())
            if streams and (head := json_length(scope, size)) <= _PEEK_BYTES:
                beginning, receive = await self._forwarding.beginning(scope, receive, head)
                shapes = check_body(where.verb, beginning[:head], size)
                if not may_be_image or not has_bytes(beginning, head):
                    count_tensors(request.config, shapes)
                    with self._admission.to_triton(request.traceparent) as context:
                        explain = explaining(request.config, beginning[:head])
                        await self._forwarding.stream(where.target, scope, receive, recording, context, explain)
                    return
            body = await self._forwarding.body(scope, receive)
            head = json_length(scope, len(body))
            shapes = check_body(where.verb, body[:head], len(body))
            if may_be_image and has_bytes(body, head):
                identifier, image = read_v2(where.model, body, head)
                with cancel_on_disconnect(receive):
                    result = await self._images.infer(request.config, image, request.traceparent)
                await reply(recording, 200, write_v2(where.model, identifier, result), JSON)
                return
            count_tensors(request.config, shapes, texts_in(body, head))
            with self._admission.to_triton(request.traceparent) as context:
                explain = explaining(request.config, body[:head])
                await self._forwarding.send(where.target, scope, body, receive, recording, context, explain)

    # -- images

    async def _image(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _require_method(scope, "POST")
        self._require_triton()
        async with self._admission.admit(where.model, "vision", header(scope, b"traceparent")) as request:
            result = await self._infer_body(request, header(scope, b"content-type") or "", scope, receive)
            recording = _recording(request, send)
            if (header(scope, b"accept") or "").startswith("text/plain"):
                await reply(recording, 200, result.as_text().encode(), TEXT)
            else:
                await reply(recording, 200, orjson.dumps({"model": where.model, **result.as_json()}), JSON)

    async def _chat(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Return a chat with its images replaced by their text, so that a graph can send it on to a chat model."""
        _require_method(scope, "POST")
        self._require_triton()
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        body = json_object(await self._forwarding.body(scope, receive), "an OpenAI chat completion")
        # Before the slot is taken, and all at once: a chat with one bad image must not wait for a model to load.
        images = images_in(body)
        async with self._admission.admit(where.model, "vision", header(scope, b"traceparent")) as request:
            with cancel_on_disconnect(receive):
                results = [await self._images.infer(request.config, image, request.traceparent) for image in images]
            body_with_text = with_text(body, [result.as_text() for result in results], query.get("model", ""))
            await reply(_recording(request, send), 200, orjson.dumps(body_with_text), JSON)

    async def _predict(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _require_method(scope, "POST")
        self._require_triton()
        async with self._admission.admit(where.model, "v1", header(scope, b"traceparent")) as request:
            body = await self._forwarding.body(scope, receive)
            await self._to_kserve(as_json(scope), body, receive, _recording(request, send), request)

    async def _infer_body(self, request: AdmittedRequest, kind: str, scope: Scope, receive: Receive) -> ImageResult:
        body = await self._forwarding.body(scope, receive)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        image = read_image(kind, body, query)
        with cancel_on_disconnect(receive):
            return await self._images.infer(request.config, image, request.traceparent)

    async def _to_kserve(
        self, scope: Scope, body: bytes, receive: Receive, send: Send, request: AdmittedRequest
    ) -> None:
        """KServe decodes and encodes the protocol; ``VisionModel`` handles the request."""
        others = [row for row in scope["headers"] if row[0] != b"traceparent"]
        if request.traceparent:
            others.append((b"traceparent", request.traceparent.encode()))
        with cancel_on_disconnect(receive):
            await self._kserve(dict(scope, headers=others), replay(body, receive), send)

    def _require_triton(self) -> None:
        if not self._live():
            raise triton_is_away()


def _require_method(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise ApiError("method_not_allowed", f"{scope['method']} is not allowed here; use {method}", allow=method)


def _recording(request: AdmittedRequest, send: Send) -> Send:
    async def note(message: Message) -> None:
        if message["type"] == "http.response.start":
            request.status = message["status"]
        await send(message)

    return note


def _error_of(err: Exception) -> ApiError | None:
    """Return the error response; None when the client has disconnected."""
    if isinstance(err, ApiError):
        return err
    if isinstance(err, ClientDisconnectedError):
        return None
    logger.error("a request failed", exc_info=err)
    return ApiError("internal_error", "this is a bug; the reason is in the service's log")
