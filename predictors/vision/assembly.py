"""Which object gets which: the one place where the parts of a vision predictor meet."""

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

from predictors.serving.admission import App
from predictors.serving.server import PredictorServer
from predictors.serving.settings import Settings
from predictors.serving.start_clock import StartClock
from predictors.vision.arguments import Arguments
from predictors.vision.calls import Calls
from predictors.vision.model import Repository, VisionModel
from predictors.vision.pictures.answering import Pictures
from predictors.vision.refusal import Refused
from predictors.vision.rest.application import Door
from predictors.vision.rest.forwarding import Forwarding
from predictors.vision.rpc.fast_path import FastPath
from predictors.vision.rpc.service import Service
from predictors.vision.settings import VisionSettings
from predictors.vision.triton.client import Triton
from predictors.vision.triton.metrics import page
from predictors.vision.triton.residency import Residency
from predictors.vision.triton.watch import Watch
from switchyard.http.client import Client, Limits
from switchyard.http.h2.grpc_call import RpcHandler
from switchyard.telemetry import tracing
from switchyard.telemetry.metrics import InferenceMetrics


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What ``serve`` runs and, at the end, closes."""

    server: PredictorServer
    service: Model
    door: Callable[[App], App]
    grpc: grpc.GenericRpcHandler
    front: Callable[[str], RpcHandler]
    watch: Watch
    residency: Residency
    client: Client
    channel: Any

    async def close(self) -> None:
        await self.client.aclose()
        await self.channel.close(None)


def assemble(arguments: Arguments, settings: Settings, vision: VisionSettings, clock: StartClock) -> Parts:
    """Makes all parts; nothing runs yet but the HTTP port, which is taken.

    Raises:
        SettingsError: a port cannot be had.
    """
    metrics = InferenceMetrics(REGISTRY)
    tracer = tracing.configure(arguments.model_name)
    client = Client(Limits(response_bytes=vision.max_body_bytes))
    channel = grpc.aio.insecure_channel(arguments.triton_grpc, options=_channel_options(vision.max_body_bytes))
    triton = Triton(client, arguments.triton_http, channel, answer_seconds=vision.answer_seconds)
    residency = _residency(triton, vision)
    calls = Calls(residency, limit=settings.max_concurrent_requests, metrics=metrics, tracer=tracer)
    pictures = Pictures(triton, residency, calls, tensor_bytes=vision.max_body_bytes)
    service = VisionModel(arguments.model_name, pictures, residency)
    watch = Watch(
        triton,
        arguments.triton_http,
        on_live=_Welcome(residency, clock, metrics).greet,
        on_lost=residency.forget,
    )
    kserve_app.add_exception_handler(Refused, _refused)

    def door(kserve: App) -> App:
        return Door(
            kserve=kserve,
            forwarding=Forwarding(client, arguments.triton_http, max_body_bytes=vision.max_body_bytes),
            pictures=pictures,
            residency=residency,
            calls=calls,
            triton=triton,
            metrics=lambda: page(REGISTRY, client, arguments.triton_metrics),
            live=lambda: watch.live,
            is_open=lambda: bool(service.ready),
        )

    return Parts(
        server=_server(arguments, settings, vision, Repository(pictures, residency)),
        service=service,
        door=door,
        grpc=Service(
            channel=channel,
            residency=residency,
            calls=calls,
            live=lambda: watch.live,
            ask_by_picture=_ByPicture(pictures, residency).ask,
        ),
        front=lambda target: FastPath(
            residency,
            calls,
            live=lambda: watch.live,
            message_bytes=vision.max_body_bytes,
            triton=arguments.triton_grpc,
            service=target,
        ),
        watch=watch,
        residency=residency,
        client=client,
        channel=channel,
    )


def _residency(triton: Triton, vision: VisionSettings) -> Residency:
    return Residency(
        triton,
        idle_seconds=vision.model_idle_seconds,
        wait_seconds=vision.model_load_seconds,
        max_waiting=vision.max_waiting_requests,
    )


def _server(arguments: Arguments, settings: Settings, vision: VisionSettings, models: Repository) -> PredictorServer:
    return PredictorServer(
        host=settings.host,
        http_port=arguments.http_port,
        grpc_port=arguments.grpc_port,
        grace_seconds=settings.grace_seconds,
        models=models,
        message_bytes=vision.max_body_bytes,
    )


class _Welcome:
    """What is done each time that Triton has come; the first time ends this predictor's start."""

    def __init__(self, residency: Residency, clock: StartClock, metrics: InferenceMetrics) -> None:
        self._residency = residency
        self._clock = clock
        self._metrics = metrics
        self._started = False

    async def greet(self) -> None:
        await self._residency.synchronise()
        if not self._started:
            self._started = True
            self._clock.done("load")
            self._clock.done("ready")
            self._clock.publish(self._metrics)


class _ByPicture:
    """V2 gRPC requests that bring a picture, read and answered by KServe's messages."""

    def __init__(self, pictures: Pictures, residency: Residency) -> None:
        self._pictures = pictures
        self._residency = residency

    async def ask(self, request: bytes, traceparent: str | None) -> bytes:
        """Answers an encoded ModelInferRequest with an encoded ModelInferResponse.

        Raises:
            Refused: it cannot be answered.
        """
        try:
            message = ModelInferRequest.FromString(request)
            InferenceServicer.validate_grpc_request(message)
            asked = InferRequest.from_grpc(message)
        except (DecodeError, InvalidInput) as err:
            raise Refused(400, f"the request cannot be read: {err}") from err
        model = VisionModel(message.model_name, self._pictures, self._residency)
        answer = await model.predict(asked, {"traceparent": traceparent} if traceparent else {})
        encoded: bytes = answer.to_grpc().SerializeToString()
        return encoded


async def _refused(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, Refused)
    headers = {} if err.retry_after is None else {"retry-after": str(err.retry_after)}
    return JSONResponse({"error": err.sentence}, err.status, headers)


def _channel_options(message_bytes: int) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", message_bytes),
        ("grpc.enable_http_proxy", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
