"""V2 gRPC: forwarded to Triton as bytes, except for images and for calls that decide which models are loaded."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import grpc.aio

from predictors.serving.rpc_errors import abort
from predictors.vision.admission import Admission, AdmittedRequest
from predictors.vision.errors import http_status, of_triton, triton_is_away, version_not_served
from predictors.vision.images.inference import takes_images
from predictors.vision.images.usage import Shape, count_tensors
from predictors.vision.rpc.fast_path import BYTES_TENSOR, PROTOCOL
from predictors.vision.rpc.inference_request import inputs_of, read_request, texts_of
from predictors.vision.triton.control import load_of_message, unload_of_message
from predictors.vision.triton.inputs import explained
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.model_config import ModelConfig
from predictors.vision.triton.repository_index import FIELDS, RepositoryIndex
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi.usage import usage_in_trailers
from switchyard.http.headers import CLIENT_TO_TRITON
from switchyard.rpc.protobuf import read_text, write
from switchyard.rpc.v2 import MODEL_NAME, MODEL_VERSION, SERVICE
from switchyard.telemetry.trace_context import for_recorder

logger = logging.getLogger(__name__)

Unary = Callable[[bytes, Any], Awaitable[bytes]]

_OF_SERVER = ("ServerLive", "ServerMetadata")
_OF_MODEL = ("ModelMetadata", "ModelConfig", "ModelStatistics")
_ERROR = b"\n"  # the tag of field 1 of a ModelStreamInferResponse, its error; else it begins with field 2
_SEARCHED = 4096  # how far into a message it is looked for: tensors' values lie behind it


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The generic handler of ``inference.GRPCInferenceService``.

    ``channel`` connects to Triton; ``infer_image`` handles an encoded ModelInferRequest with an image.
    """

    def __init__(
        self,
        *,
        channel: Any,
        loaded_models: LoadedModels,
        index: RepositoryIndex,
        admission: Admission,
        live: Callable[[], bool],
        infer_image: Callable[[bytes, str | None], Awaitable[bytes]],
    ) -> None:
        self._loaded_models = loaded_models
        self._index = index
        self._admission = admission
        self._live = live
        self._infer_image = infer_image
        self._upstream = {name: channel.unary_unary(_path(name)) for name in (*_OF_SERVER, *_OF_MODEL, "ModelInfer")}
        self._upstream_stream = channel.stream_stream(_path("ModelStreamInfer"))
        unary: dict[str, Unary] = {
            **{name: self._server(name) for name in _OF_SERVER},
            **{name: self._model(name) for name in _OF_MODEL},
            "ServerReady": self._server_ready,
            "RepositoryIndex": self._repository_index,
            "ModelReady": self._model_ready,
            "ModelInfer": self._infer,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }
        self._handlers: Mapping[str, Any] = {
            _path(name): grpc.unary_unary_rpc_method_handler(_with_status(handler)) for name, handler in unary.items()
        } | {_path("ModelStreamInfer"): grpc.stream_stream_rpc_method_handler(self._stream)}

    def service(self, handler_call_details: Any) -> Any:
        method: str = handler_call_details.method
        if method.startswith(_path("")):
            return self._handlers.get(method, _CLOSED)
        return None

    # -- single calls

    def _server(self, name: str) -> Unary:
        async def handle(request: bytes, context: Any) -> bytes:
            return await self._forward(name, request, context, None)

        return handle

    def _model(self, name: str) -> Unary:
        async def handle(request: bytes, context: Any) -> bytes:
            model = _named(request, MODEL_NAME)
            if not model:  # statistics of all models
                return await self._forward(name, request, context, None)
            self._need_triton()
            async with self._loaded_models.use(model):
                return await self._forward(name, request, context, None)

        return handle

    async def _server_ready(self, request: bytes, context: Any) -> bytes:
        return write(1, self._live())

    async def _model_ready(self, request: bytes, context: Any) -> bytes:
        self._need_triton()
        model, version = _named(request, MODEL_NAME), _named(request, MODEL_VERSION)
        ready = await self._loaded_models.ready(model)
        return write(1, ready and (not version or await self._index.has_version(model, version)))

    async def _repository_index(self, request: bytes, context: Any) -> bytes:
        self._need_triton()
        rows = await self._index.rows(ready=b"\x10\x01" in request)
        fields = [[write(number, row.get(name, "")) for number, name in enumerate(FIELDS, 1)] for row in rows]
        return b"".join(write(1, b"".join(written)) for written in fields)

    async def _load(self, request: bytes, context: Any) -> bytes:
        self._need_triton()
        await self._loaded_models.load(*load_of_message(request))
        return b""

    async def _unload(self, request: bytes, context: Any) -> bytes:
        self._need_triton()
        await self._loaded_models.unload(*unload_of_message(request))
        return b""

    async def _infer(self, request: bytes, context: Any) -> bytes:
        self._need_triton()
        model, shapes = _read(request)
        async with self._admission.admit(model, PROTOCOL, _traceparent(context)) as call:
            with usage_in_trailers(context):
                if request.find(BYTES_TENSOR, 0, _SEARCHED) >= 0 and takes_images(call.config):
                    response = await self._infer_image(request, call.traceparent)
                    call.status = 200
                    return response
                count_tensors(call.config, shapes, texts_of(request))
                with self._admission.to_triton(call.traceparent) as traceparent:
                    return await self._forward("ModelInfer", request, context, traceparent, call)

    async def _forward(
        self, name: str, request: bytes, context: Any, traceparent: str | None, call: AdmittedRequest | None = None
    ) -> bytes:
        try:
            response: bytes = await self._upstream[name](
                request, timeout=context.time_remaining(), metadata=_metadata(context, traceparent)
            )
        except grpc.aio.AioRpcError as err:
            if call is not None:
                call.status = http_status(err.code())
                self._loaded_models.model_failed(err.details() or "")
                if err.code() == grpc.StatusCode.INVALID_ARGUMENT:
                    raise ApiError(
                        "invalid_value", explained(err.details() or "", call.config, inputs_of(request))
                    ) from err
            if err.code() == grpc.StatusCode.UNAVAILABLE and not self._live():
                raise triton_is_away() from err
            if missing := version_not_served(err.details() or ""):
                raise missing from err
            raise
        if call is not None:
            call.status = 200
        return response

    # -- streams

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        """Forward a stream; each message may name another model, and all stay loaded until the stream ends."""
        try:
            self._need_triton()
            first = await anext(aiter(requests), None)
            if first is None:
                return
            model, shapes = _read(first)
            with usage_in_trailers(context):
                async with (
                    AsyncExitStack() as held,
                    self._admission.admit(model, PROTOCOL, _traceparent(context)) as call,
                ):
                    count_tensors(call.config, shapes, texts_of(first))
                    failures: list[ApiError] = []
                    messages = _with_first(first, self._holding(held, requests, call.config, failures))
                    upstream = self._upstream_stream(
                        messages,
                        timeout=context.time_remaining(),
                        metadata=_metadata(context, for_recorder(call.traceparent)),
                    )
                    try:
                        async for response in upstream:
                            if response.startswith(_ERROR):
                                self._loaded_models.model_failed(response[:_SEARCHED].decode("latin-1"))
                            yield response
                        for failure in failures:
                            raise failure
                        call.status = 200
                    finally:
                        # A client that disconnects ends this generator; without this Triton would go on for nobody.
                        upstream.cancel()
        except ApiError as err:
            await abort(context, err)
        except grpc.aio.AioRpcError as err:
            await _abort_as(context, err)

    async def _holding(
        self, held: AsyncExitStack, requests: AsyncIterator[bytes], first: ModelConfig, failures: list[ApiError]
    ) -> AsyncIterator[bytes]:
        """Yield the messages whose models can be held; the first other one ends them, as one of ``failures``.

        What was sent before it is responded to. An exception would leave the call waiting: gRPC keeps it to itself.
        """
        configs = {first.name: first}
        try:
            async for request in requests:
                name, shapes = _read(request)
                if name not in configs:
                    configs[name] = await held.enter_async_context(self._loaded_models.use(name))
                count_tensors(configs[name], shapes, texts_of(request))
                yield request
        except ApiError as err:
            failures.append(err)

    def _need_triton(self) -> None:
        if not self._live():
            raise triton_is_away()


def _with_status(handler: Unary) -> Unary:
    """Wrap ``handler``: convert its errors to statuses."""

    async def response(request: bytes, context: Any) -> bytes:
        try:
            return await handler(request, context)
        except ApiError as err:
            await abort(context, err)
        except grpc.aio.AioRpcError as err:
            await _abort_as(context, err)
        except Exception:
            logger.exception("a request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "this is a bug; the reason is in the service's log")
        raise AssertionError("abort raises")

    return response


async def _abort_as(context: Any, err: grpc.aio.AioRpcError) -> None:
    """End a call with Triton's own error, and when to retry where REST says it too."""
    if err.code() == grpc.StatusCode.UNAVAILABLE:
        await abort(context, of_triton(503, err.details() or ""))
    await context.abort(err.code(), err.details() or "")


def _path(name: str) -> str:
    return f"/{SERVICE}/{name}"


def _named(request: bytes, field: int) -> str:
    try:
        return read_text(request, field)
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not a V2 message: {err}") from err


def _read(request: bytes) -> tuple[str, Sequence[Shape]]:
    """Return the model of an inference that Triton may be given, and the shapes of its inputs."""
    try:
        read = read_request(request, len(request))
    except ValueError as err:
        raise ApiError("invalid_value", f"the request is not one for Triton: {err}") from err
    return read.model, read.shapes


def _traceparent(context: Any) -> str | None:
    return next((value for key, value in context.invocation_metadata() or () if key == "traceparent"), None)


def _metadata(context: Any, traceparent: str | None) -> list[tuple[str, str | bytes]]:
    sent = context.invocation_metadata() or ()
    passed = [(key, value) for key, value in sent if not CLIENT_TO_TRITON.drops(key.encode())]
    if traceparent:
        passed.append(("traceparent", traceparent))
    return passed


async def _reject(request: bytes, context: Any) -> bytes:
    message = "shared memory, trace and log settings are not served here; send tensors in messages"
    raise ApiError("not_implemented", message)


_CLOSED = grpc.unary_unary_rpc_method_handler(_with_status(_reject))


async def _with_first(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for request in rest:
        yield request
