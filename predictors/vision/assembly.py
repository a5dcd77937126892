"""Composition root: builds the parts of a vision predictor and connects them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio
from fastapi import Request
from fastapi.responses import JSONResponse
from google.protobuf.message import DecodeError
from kserve import Model
from kserve.errors import InvalidInput
from kserve.model_server import app as kserve_app
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.infer_type import InferRequest
from prometheus_client import REGISTRY

from predictors.serving.server import PredictorServer
from predictors.serving.settings import Settings
from predictors.serving.start_clock import StartClock
from predictors.vision.admission import Admission
from predictors.vision.arguments import Arguments
from predictors.vision.images.inference import ImageInference
from predictors.vision.model import Repository, VisionModel
from predictors.vision.rest.application import Application
from predictors.vision.rest.forwarding import Forwarding
from predictors.vision.rpc.fast_path import FastPath
from predictors.vision.rpc.service import Service
from predictors.vision.settings import VisionSettings
from predictors.vision.triton.client import TritonClient
from predictors.vision.triton.loading import residency
from predictors.vision.triton.loading.loaded_models import LoadedModels
from predictors.vision.triton.loading.repository_follower import RepositoryFollower
from predictors.vision.triton.metrics import metrics_page
from predictors.vision.triton.model_folders import ModelFolders
from predictors.vision.triton.repository_index import RepositoryIndex
from predictors.vision.triton.triton_log import TritonLog
from predictors.vision.triton.watch import TritonWatch
from switchyard.http.api_errors import ApiError, as_object, shape_of
from switchyard.http.asgi import App
from switchyard.http.asgi.usage import UsageReport
from switchyard.http.client import Client, Limits
from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.telemetry import tracing
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.process import shared_registry


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts that ``serve`` runs and finally closes."""

    server: PredictorServer
    service: Model
    wrap: Callable[[App], App]
    grpc: grpc.GenericRpcHandler
    front: Callable[[RpcHandler], RpcHandler]
    watch: TritonWatch
    log: TritonLog
    loaded_models: LoadedModels
    follower: RepositoryFollower
    client: Client
    channel: Any

    async def close(self) -> None:
        await self.client.aclose()
        await self.channel.close(None)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Inference:
    """What handles inferences, whichever protocol they come by."""

    client: Client
    channel: Any
    folders: ModelFolders
    log: TritonLog
    triton: TritonClient
    loaded_models: LoadedModels
    index: RepositoryIndex
    admission: Admission
    images: ImageInference


def assemble(arguments: Arguments, settings: Settings, vision: VisionSettings, clock: StartClock) -> Parts:
    """Build all parts; nothing runs yet, but the HTTP port is bound.

    Raises:
        PortError: a port cannot be bound.
    """
    metrics = InferenceMetrics(shared_registry("vision"))
    inference = _inference(arguments, settings, vision, metrics)
    images, loaded_models = inference.images, inference.loaded_models
    service = VisionModel(arguments.model_name, images, loaded_models)
    events = _OnTriton(inference, clock, metrics)
    watch = TritonWatch(inference.triton, arguments.triton_http, on_live=events.live, on_lost=events.lost)
    # KServe's application calls ``VisionModel``, and would make a 500 of any error but its own.
    kserve_app.add_exception_handler(ApiError, _respond_error)
    return Parts(
        server=_server(arguments, settings, vision, Repository(images, loaded_models)),
        service=service,
        wrap=_wrap(inference, arguments, vision, service, watch),
        grpc=Service(
            channel=inference.channel,
            loaded_models=loaded_models,
            index=inference.index,
            admission=inference.admission,
            live=lambda: watch.live,
            infer_image=_ImageOverGrpc(images, loaded_models).ask,
        ),
        # gRPC's own health service lies behind it: of all calls only inferences are worth a look at their first bytes.
        front=lambda service: FastPath(
            loaded_models,
            inference.admission,
            live=lambda: watch.live,
            message_bytes=vision.max_body_bytes,
            triton=arguments.triton_grpc,
            service=service,
        ),
        watch=watch,
        log=inference.log,
        loaded_models=loaded_models,
        follower=RepositoryFollower(inference.folders, loaded_models),
        client=inference.client,
        channel=inference.channel,
    )


def _inference(
    arguments: Arguments, settings: Settings, vision: VisionSettings, metrics: InferenceMetrics
) -> _Inference:
    """Build Triton's client, which tells of failed models, what replaces them, and what calls both."""
    tracer, limit = tracing.configure(arguments.model_name), vision.max_body_bytes
    client = Client(Limits(response_bytes=limit))
    channel = grpc.aio.insecure_channel(arguments.triton_grpc, options=_channel_options(limit))
    folders, log = ModelFolders(arguments.model_repository), TritonLog(arguments.triton_log)
    triton = TritonClient(
        client,
        arguments.triton_http,
        channel,
        folders,
        log,
        answer_seconds=vision.answer_seconds,
        control_seconds=vision.model_load_seconds,
        on_failure=lambda reason: loaded_models.model_failed(reason),
    )
    loaded_models = LoadedModels(
        triton,
        metrics,
        idle_seconds=vision.model_idle_seconds,
        wait_seconds=vision.model_load_seconds,
        max_waiting=vision.max_waiting_requests,
        limits=residency.Limits(models=vision.model_repository_models, bytes=vision.model_repository_bytes),
    )
    admission = Admission(loaded_models, limit=settings.max_concurrent_requests, metrics=metrics, tracer=tracer)
    return _Inference(
        client=client,
        channel=channel,
        folders=folders,
        log=log,
        triton=triton,
        loaded_models=loaded_models,
        index=RepositoryIndex(triton, loaded_models, folders),
        admission=admission,
        images=ImageInference(triton, loaded_models, admission, tensor_bytes=limit),
    )


def _wrap(
    inference: _Inference, arguments: Arguments, vision: VisionSettings, service: Model, watch: TritonWatch
) -> Callable[[App], App]:
    """Return what puts this predictor's REST application before KServe's."""
    client, loaded_models = inference.client, inference.loaded_models
    limit, failed = vision.max_body_bytes, loaded_models.model_failed
    forwarding = Forwarding(client, arguments.triton_http, max_body_bytes=limit, on_failure=failed)

    def wrap(kserve: App) -> App:
        application = Application(
            kserve=kserve,
            forwarding=forwarding,
            images=inference.images,
            loaded_models=loaded_models,
            admission=inference.admission,
            index=inference.index,
            metrics=lambda accept: metrics_page(REGISTRY, client, arguments.triton_metrics, accept),
            live=lambda: watch.live,
            is_open=lambda: bool(service.ready),
        )
        return UsageReport(application)

    return wrap


def _server(arguments: Arguments, settings: Settings, vision: VisionSettings, models: Repository) -> PredictorServer:
    return PredictorServer(
        host=settings.host,
        http_port=arguments.http_port,
        grpc_port=arguments.grpc_port,
        grace_seconds=settings.grace_seconds,
        models=models,
        message_bytes=vision.max_body_bytes,
    )


class _OnTriton:
    """What happens each time Triton becomes live, the first of which ends this predictor's start, and when it ends."""

    def __init__(self, inference: "_Inference", clock: StartClock, metrics: InferenceMetrics) -> None:
        self._loaded_models = inference.loaded_models
        self._client = inference.client
        self._triton = inference.triton
        self._traced = inference.admission.traced
        self._clock = clock
        self._metrics = metrics
        self._started = False

    async def live(self) -> None:
        await self._loaded_models.synchronize()
        if self._traced:
            await self._triton.record_spans()
        if not self._started:
            self._started = True
            self._clock.done("load")
            self._clock.done("ready")
            self._clock.publish(self._metrics)

    def lost(self) -> None:
        self._loaded_models.forget()
        # A process of a model may hold them open, and nothing would come of them any more.
        self._client.close_connections()


class _ImageOverGrpc:
    """V2 gRPC requests with an image, decoded and encoded with KServe's messages."""

    def __init__(self, images: ImageInference, loaded_models: LoadedModels) -> None:
        self._images = images
        self._loaded_models = loaded_models

    async def ask(self, request: bytes, traceparent: str | None) -> bytes:
        """Handle an encoded ModelInferRequest; return an encoded ModelInferResponse.

        Raises:
            ApiError: it cannot be processed.
        """
        try:
            message = ModelInferRequest.FromString(request)
            InferenceServicer.validate_grpc_request(message)
            image_request = InferRequest.from_grpc(message)
        except (DecodeError, InvalidInput) as err:
            raise ApiError("invalid_value", f"the request cannot be read: {err}") from err
        model = VisionModel(message.model_name, self._images, self._loaded_models)
        response = await model.predict(image_request, {"traceparent": traceparent} if traceparent else {})
        encoded: bytes = response.to_grpc().SerializeToString()
        return encoded


async def _respond_error(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, ApiError)
    headers = {name.decode(): value.decode() for name, value in err.headers}
    return JSONResponse(as_object(err, shape_of(request.url.path)), err.status, headers)


def _channel_options(message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", message_bytes),
        # Or ``http_proxy`` in the environment would send calls to loopback by way of a proxy.
        ("grpc.enable_http_proxy", 0),
        # With gRPC's own pauses, 1 s and growing to 120, a Triton that has been restarted would stay out of reach.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
