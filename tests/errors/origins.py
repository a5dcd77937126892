"""Every process that answers an API path, set up so that one error happens; each on a port of its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from predictors.complexity.application import Application as Complexity
from predictors.complexity.application import Meter
from predictors.serving.admission import Admission
from predictors.serving.application import Application as Predictor
from predictors.vision.admission import Admission as VisionAdmission
from predictors.vision.rest.application import Application as Vision
from predictors.vision.rest.forwarding import Forwarding
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.http.asgi.serving import handler_of
from switchyard.http.client import Client
from switchyard.http.server import Handler, Server
from switchyard.local.activator import application as activator
from switchyard.local.activator.request_queue import QueueLimits, RequestQueue
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import DisabledTracer
from tests.predictors.vision.triton.loading.server import Server as Triton
from tests.predictors.vision.triton.loading.server import loaded_models
from tests.switchyard.gateway.conftest import Call, gateway
from tests.switchyard.router.running import node, router, services

LIMIT = 1000  # bytes of a body, where bodies have a limit
Origin = Callable[[str, Path], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[tuple[str, int]]:
    server = Server(handler)
    port = await server.listen("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}", port
    finally:
        await server.aclose()


@asynccontextmanager
async def of_gateway(error: str, folder: Path) -> AsyncIterator[str]:
    async def broken(call: Call) -> None:
        call.scope["server"] = None
        raise AssertionError("no request gets as far as a model")

    settings: dict[str, Any] = {"max_body_bytes": LIMIT, "max_in_flight": 0 if error == "overloaded" else 10}
    with pytest.MonkeyPatch.context() as patch:
        async with gateway(folder, broken, **settings) as bench:
            if error == "internal":
                patch.setattr(bench.catalog, "current", _fail)
            yield bench.url


@asynccontextmanager
async def of_router(error: str, folder: Path) -> AsyncIterator[str]:
    async with services() as behind:
        unreachable = {
            "name": "gone",
            "serviceUrl": "http://127.0.0.1:1",
            "condition": "[messages,input,prompt,inputs]",
        }
        step = unreachable if error == "unreachable" else behind.step("a", condition="nothing.has.this")
        async with router(behind, {"root": node("Switch", step)}, max_body_bytes=LIMIT) as one:
            yield f"http://127.0.0.1:{one.port}"


@asynccontextmanager
async def of_activator(error: str, folder: Path) -> AsyncIterator[str]:
    limits = QueueLimits(requests=0 if error == "overloaded" else 10)
    queue = RequestQueue("chat", concurrency=0, limits=limits, demand=lambda: None)
    if error == "failed":
        queue.reject(lambda: ApiError("model_failed", "chat: no engine; see `switchyard logs chat`", retry_after=3))
    elif error == "internal":
        queue.reject(_fail)
    elif error == "stopping":
        queue.drain(lambda: ApiError("shutting_down", "chat is not ready, and switchyard is stopping"))
    endpoints: dict[int, activator.Endpoint] = {}
    client = Client()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(activator, "BODY_BYTES", LIMIT)
        async with serving(activator.Activator(endpoints, client, DisabledTracer()).handle) as (url, port):
            endpoints[port] = activator.Endpoint("chat", queue, timeout=5)
            yield url
    await client.aclose()


@asynccontextmanager
async def of_complexity(error: str, folder: Path) -> AsyncIterator[str]:
    registry = CollectorRegistry()
    application = Complexity(
        name="complexity",
        decider=cast(Any, None),  # what fails before a decision needs none, and "internal" is that it is missing
        shadow=None,
        meter=Meter("complexity", registry),
        registry=registry,
        tracer=DisabledTracer(),
        max_body_bytes=LIMIT,
        max_requests=0 if error == "overloaded" else 10,
    )
    async with serving(application.handle) as (url, _):
        yield url


@asynccontextmanager
async def of_predictor(error: str, folder: Path) -> AsyncIterator[str]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        raise KeyError("secret")

    limit, metrics = 0 if error == "overloaded" else 10, InferenceMetrics(CollectorRegistry())
    admission = Admission("m", limit, metrics, DisabledTracer())
    application: App = Predictor(openai=app, kserve=app, admission=admission)
    async with serving(handler_of(application, body_bytes=LIMIT)) as (url, _):
        yield url


@asynccontextmanager
async def of_vision(error: str, folder: Path) -> AsyncIterator[str]:
    triton, client = Triton("ocr", "vision-ready", "vision-waking", "vision-failed"), Client()
    models = loaded_models(triton)
    await models.synchronize()
    limit = 0 if error == "overloaded" else 10
    metrics = InferenceMetrics(CollectorRegistry())
    application = Vision(
        kserve=cast(Any, None),
        forwarding=Forwarding(client, "127.0.0.1:1", max_body_bytes=LIMIT, on_failure=models.model_failed),
        images=cast(Any, None),  # an image that gets as far is the internal error
        loaded_models=models,
        admission=VisionAdmission(models, limit=limit, metrics=metrics, tracer=DisabledTracer()),
        index=cast(Any, None),
        metrics=cast(Any, None),
        live=lambda: error != "unreachable",
        is_open=lambda: True,
    )
    async with AsyncExitStack() as stack:
        url, _ = await stack.enter_async_context(serving(handler_of(application)))
        yield url
    await client.aclose()


ORIGINS: dict[str, Origin] = {
    "gateway": of_gateway,
    "router": of_router,
    "activator": of_activator,
    "complexity": of_complexity,
    "predictor": of_predictor,
    "vision": of_vision,
}


def _fail() -> Any:
    raise RuntimeError("secret")
