"""Every process that takes gRPC calls, set up so that one error happens; each on a port of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import grpc
import grpc.aio
from prometheus_client import CollectorRegistry

from predictors.vision.admission import Admission
from predictors.vision.rpc.service import Service
from switchyard.http.api_errors import ApiError
from switchyard.http.server import Server
from switchyard.local.activator.application import Endpoint
from switchyard.local.activator.request_queue import QueueLimits, RequestQueue
from switchyard.local.activator.rpc import RpcActivator
from switchyard.rpc import v2
from switchyard.rpc.protobuf import write
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import DisabledTracer
from tests.predictors.vision.triton.loading.server import Server as Triton
from tests.predictors.vision.triton.loading.server import loaded_models

HOST = "127.0.0.1"


class Engine(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Aborts every call with ``code``; without one, responds to each message of a stream."""

    def __init__(self, code: grpc.StatusCode | None, sentence: str) -> None:
        self._code = code
        self._sentence = sentence

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == v2.path("ModelStreamInfer"):
            return grpc.stream_stream_rpc_method_handler(self._stream)
        return grpc.unary_unary_rpc_method_handler(self._infer)

    async def _infer(self, request: bytes, context: Any) -> bytes:
        await context.abort(self._code, self._sentence)
        raise AssertionError("abort raises")

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for _ in requests:
            if self._code is not None:
                await context.abort(self._code, self._sentence)
            yield write(1, self._sentence) if self._sentence else write(2, write(1, "a model"))


@asynccontextmanager
async def serving(handler: grpc.GenericRpcHandler) -> AsyncIterator[str]:
    """The address of a gRPC server."""
    server = grpc.aio.server(handlers=(handler,))
    port = server.add_insecure_port(f"{HOST}:0")
    await server.start()
    try:
        yield f"{HOST}:{port}"
    finally:
        await server.stop(None)


@asynccontextmanager
async def of_engine(code: grpc.StatusCode | None, sentence: str) -> AsyncIterator[str]:
    async with serving(Engine(code, sentence)) as target:
        yield target


@asynccontextmanager
async def of_activator(error: str) -> AsyncIterator[str]:
    limits = QueueLimits(requests=0 if error == "overloaded" else 10)
    queue = RequestQueue("chat", concurrency=0, limits=limits, demand=lambda: None)
    if error == "failed":
        queue.reject(lambda: ApiError("model_failed", "chat: no engine; see `switchyard logs chat`", retry_after=3))
    elif error == "stopping":
        queue.drain(lambda: ApiError("shutting_down", "chat is not ready, and switchyard is stopping"))
    endpoints: dict[int, Endpoint] = {}
    server = Server(cast(Any, None), rpc=RpcActivator(endpoints, DisabledTracer()).handle)
    port = await server.listen(HOST, 0)
    endpoints[port] = Endpoint("chat", queue, timeout=5)
    try:
        yield f"{HOST}:{port}"
    finally:
        await server.aclose()


@asynccontextmanager
async def of_vision(error: str) -> AsyncIterator[str]:
    """Vision's service before a Triton that has the models ``vision-ready`` and ``vision-waking``."""
    models = loaded_models(Triton("vision-ready", "vision-waking"))
    await models.synchronize()
    limit = 0 if error == "overloaded" else 10
    metrics = InferenceMetrics(CollectorRegistry())
    code, reason = (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size") if error == "Triton full" else (None, "")
    async with of_engine(code, reason) as triton, grpc.aio.insecure_channel(triton) as channel:
        service = Service(
            channel=channel,
            loaded_models=models,
            index=cast(Any, None),
            admission=Admission(models, limit=limit, metrics=metrics, tracer=DisabledTracer()),
            live=lambda: error != "unreachable",
            infer_image=cast(Any, None),
        )
        async with serving(service) as target:
            yield target
