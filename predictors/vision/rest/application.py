"""REST: which of passing on, answering pictures and controlling models a request asks for."""

import logging
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import orjson

from predictors.serving.application import as_json
from predictors.vision.calls import Call, Calls
from predictors.vision.pictures.answering import Answer, Pictures, takes_pictures
from predictors.vision.pictures.bodies import json_object, read_picture
from predictors.vision.pictures.chat import pictures as pictures_of
from predictors.vision.pictures.chat import with_text
from predictors.vision.pictures.v2 import read_v2, write_v2
from predictors.vision.refusal import Refused, triton_is_away
from predictors.vision.rest.forwarding import STREAMED_BYTES, Forwarding, declared_length
from predictors.vision.rest.replies import JSON, TEXT, header, refuse, replay, reply
from predictors.vision.rest.routes import Route, route
from predictors.vision.triton.client import Triton, control_request
from predictors.vision.triton.residency import Residency
from predictors.vision.triton.tensors import HEAD_LENGTH
from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.asgi.disconnect import HangUp
from switchyard.http.request_errors import ClientDisconnectedError

logger = logging.getLogger(__name__)

Handler = Callable[[Route, Scope, Receive, Send], Awaitable[None]]

_BYTES = b'"BYTES"'  # a datatype that a model of numbers does not have: a picture comes instead of its tensors
_PEEKED = 64 * 1024  # a JSON head up to here is looked at before the tensors behind it have arrived


class Door:
    """The outermost ASGI application; what it does not know is KServe's.

    ``live`` says whether Triton answers; ``open`` whether this predictor takes requests (it is not stopping).
    """

    def __init__(
        self,
        *,
        kserve: App,
        forwarding: Forwarding,
        pictures: Pictures,
        residency: Residency,
        calls: Calls,
        triton: Triton,
        metrics: Callable[[], Awaitable[bytes]],
        live: Callable[[], bool],
        is_open: Callable[[], bool],
    ) -> None:
        self._kserve = kserve
        self._forwarding = forwarding
        self._pictures = pictures
        self._residency = residency
        self._calls = calls
        self._triton = triton
        self._metrics = metrics
        self._live = live
        self._open = is_open
        self._handlers: dict[str, Handler] = {
            "live": self._say_live,
            "ready": self._say_ready,
            "server": self._server,
            "models": self._models,
            "model": self._model,
            "model-ready": self._model_ready,
            "infer": self._infer,
            "picture": self._picture,
            "chat": self._chat,
            "predict": self._predict,
            "load": self._control,
            "unload": self._control,
            "metrics": self._say_metrics,
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
            await handler(where, scope, receive, note)
        except Exception as err:
            if begun:  # the answer broke off: closing the connection is all that can still be said
                raise
            if (refused := _refusal(err)) is not None:
                await refuse(send, refused)

    # -- what this predictor answers itself

    async def _say_live(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, 200, b"", TEXT)

    async def _say_ready(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._open():
            raise Refused(503, "this predictor is stopping; another one answers")
        self._need_triton()
        await reply(send, 200, b"", TEXT)

    async def _say_metrics(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        await reply(send, 200, await self._metrics(), b"text/plain; version=0.0.4; charset=utf-8")

    async def _models(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._need_triton()
        await reply(send, 200, orjson.dumps({"models": sorted(await self._triton.index())}), JSON)

    async def _model_ready(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._need_triton()
        if not await self._residency.ready(where.model):
            raise Refused(400, f"model {where.model!r} was unloaded; load it, or send it a request")
        await reply(send, 200, b"", TEXT)

    async def _control(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _need_method(scope, "POST")
        self._need_triton()
        body = await self._forwarding.body(scope, receive)
        request = control_request(where.model, _parameters(body))
        if where.kind == "load":
            await self._residency.load(where.model, request)
        else:
            await self._residency.unload(where.model, request)
        await reply(send, 200, b"", JSON)

    async def _closed(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        if "sharedmemory" in scope["path"]:
            raise Refused(404, "shared memory is not served: it needs client and Triton on one machine; send tensors")
        raise Refused(404, f"there is no {scope['path'][:80]!r} here; V2 paths begin with /v2/models/<name>")

    # -- what Triton answers

    async def _server(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._need_triton()
        await self._forwarding.forward(where.target, scope, receive, send, None)

    async def _model(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        self._need_triton()
        async with self._residency.use(where.model):
            await self._forwarding.forward(where.target, scope, receive, send, None)

    async def _infer(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _need_method(scope, "POST")
        self._need_triton()
        protocol = "v2" if where.verb == "infer" else "generate"
        async with self._calls.answering(where.model, protocol, header(scope, b"traceparent")) as call:
            noted = _noting(call, send)
            kind = header(scope, b"content-type") or ""
            if kind.startswith("image/"):
                answer = await self._ask(call, kind, scope, receive)
                await reply(noted, 200, write_v2(where.model, "", answer), JSON)
                return
            may_be_picture = where.verb == "infer" and takes_pictures(call.description)
            head = _head_length(scope, declared_length(scope)) if may_be_picture else 0
            if declared_length(scope) >= STREAMED_BYTES and head <= _PEEKED:
                begun, receive = await self._forwarding.beginning(scope, receive, head)
                if begun.find(_BYTES, 0, head) < 0:
                    with self._calls.to_triton(call.traceparent) as context:
                        await self._forwarding.stream(where.target, scope, receive, noted, context)
                    return
            body = await self._forwarding.body(scope, receive)
            head = _head_length(scope, len(body))
            if may_be_picture and body.find(_BYTES, 0, head) >= 0:
                identifier, picture = read_v2(where.model, body, head)
                with HangUp(receive):
                    answer = await self._pictures.ask(call.description, picture, call.traceparent)
                await reply(noted, 200, write_v2(where.model, identifier, answer), JSON)
                return
            with self._calls.to_triton(call.traceparent) as context:
                await self._forwarding.send(where.target, scope, body, receive, noted, context)

    # -- pictures

    async def _picture(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _need_method(scope, "POST")
        self._need_triton()
        async with self._calls.answering(where.model, "vision", header(scope, b"traceparent")) as call:
            answer = await self._ask(call, header(scope, b"content-type") or "", scope, receive)
            noted = _noting(call, send)
            if (header(scope, b"accept") or "").startswith("text/plain"):
                await reply(noted, 200, answer.as_text().encode(), TEXT)
            else:
                await reply(noted, 200, orjson.dumps({"model": where.model, **answer.as_json()}), JSON)

    async def _chat(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        """Gives a chat back with its pictures read, so that a graph can send it on to a chat model."""
        _need_method(scope, "POST")
        self._need_triton()
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        body = json_object(await self._forwarding.body(scope, receive), "an OpenAI chat completion")
        asked = pictures_of(body)
        async with self._calls.answering(where.model, "vision", header(scope, b"traceparent")) as call:
            with HangUp(receive):
                answers = [await self._pictures.ask(call.description, one, call.traceparent) for one in asked]
            told = with_text(body, [answer.as_text() for answer in answers], query.get("model", ""))
            await reply(_noting(call, send), 200, orjson.dumps(told), JSON)

    async def _predict(self, where: Route, scope: Scope, receive: Receive, send: Send) -> None:
        _need_method(scope, "POST")
        self._need_triton()
        async with self._calls.answering(where.model, "v1", header(scope, b"traceparent")) as call:
            body = await self._forwarding.body(scope, receive)
            await self._to_kserve(as_json(scope), body, receive, _noting(call, send), call)

    async def _ask(self, call: Call, kind: str, scope: Scope, receive: Receive) -> Answer:
        body = await self._forwarding.body(scope, receive)
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        picture = read_picture(kind, body, query)
        with HangUp(receive):
            return await self._pictures.ask(call.description, picture, call.traceparent)

    async def _to_kserve(self, scope: Scope, body: bytes, receive: Receive, send: Send, call: Call) -> None:
        """KServe reads and writes the protocol; ``VisionModel`` answers."""
        others = [row for row in scope["headers"] if row[0] != b"traceparent"]
        if call.traceparent:
            others.append((b"traceparent", call.traceparent.encode()))
        with HangUp(receive):
            await self._kserve(dict(scope, headers=others), replay(body, receive), send)

    def _need_triton(self) -> None:
        if not self._live():
            raise triton_is_away()


def _need_method(scope: Scope, method: str) -> None:
    if scope["method"] != method:
        raise Refused(405, f"{scope['method']} is not answered here; use {method}")


def _noting(call: Call, send: Send) -> Send:
    async def note(message: Message) -> None:
        if message["type"] == "http.response.start":
            call.status = message["status"]
        await send(message)

    return note


def _head_length(scope: Scope, whole: int) -> int:
    """How long the JSON is in a body of ``whole`` bytes; binary tensors may lie behind it."""
    length = header(scope, HEAD_LENGTH) or ""
    return int(length) if length.isdecimal() and len(length) < 20 else whole


def _parameters(body: bytes) -> dict[str, str | bool]:
    """The parameters of a load or unload request.

    Raises:
        Refused: 400 it is no such request, or it brings files, which would run as code.
    """
    try:
        given = (orjson.loads(body) if body.strip() else {}).get("parameters") or {}
        parameters = {str(name): value for name, value in given.items()}
    except (orjson.JSONDecodeError, AttributeError) as err:
        raise Refused(400, f"the body is no V2 repository request: {err}") from err
    for name, value in parameters.items():
        if name.startswith("file:"):
            raise Refused(400, "models are not loaded from a request: put the folder into the repository and load it")
        if not isinstance(value, str | bool):
            raise Refused(400, f"parameter {name[:80]!r} is neither text nor a truth value")
    return parameters


def _refusal(err: Exception) -> Refused | None:
    """What to answer; None when there is nobody to answer."""
    if isinstance(err, Refused):
        return err
    if isinstance(err, ClientDisconnectedError):
        return None
    logger.error("an answer failed", exc_info=err)
    return Refused(500, "this is a bug; the reason is in the service's log")
