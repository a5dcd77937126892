"""KServe's ModelServer with what a production predictor needs: an address, a drain, and an application around its own.

``kserve.ModelServer`` always binds every interface, adds a middleware to each streamed chunk and unloads models before
requests in flight are finished; this subclass keeps its routes, protocols and error mapping and replaces the rest.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio
import uvloop
from google.protobuf.message import DecodeError
from kserve import Model, ModelRepository, ModelServer
from kserve.model_server import app as kserve_app
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from prometheus_client import REGISTRY
from starlette.requests import Request
from starlette.responses import Response

from predictors.serving import errors
from predictors.serving.errors import of_exception
from predictors.serving.rpc_errors import abort
from predictors.serving.servicer import OneModelServicer
from switchyard.http import request_log
from switchyard.http.asgi import App
from switchyard.http.asgi.serving import BodyCheck, handler_of
from switchyard.http.h2.grpc_call import GrpcCall, RpcHandler
from switchyard.http.request_log import logged, logged_calls
from switchyard.http.server import Server, ServerLimits
from switchyard.http.server.lifecycle import serve_until_signal
from switchyard.http.web_access import loopback_access
from switchyard.memory import settle_heap
from switchyard.rpc.health import Health, with_health
from switchyard.settings import PortError
from switchyard.telemetry.exposition import exposition

logger = logging.getLogger(__name__)

# gRPC's own limit, 4 MiB, is less than a photo as a tensor of floats.
MESSAGE_LIMIT = 32 * 1024 * 1024  # bytes of one gRPC message or HTTP body; the gateway's own
_LOOPBACK = "127.0.0.1"


class PredictorServer(ModelServer):  # type: ignore[misc]
    """Serves one ready model over V2 REST and V2 gRPC, and what ``wrap`` adds, until a signal or ``lost`` stops it."""

    def __init__(
        self,
        *,
        host: str,
        http_port: int,
        grpc_port: int = 0,
        grace_seconds: int,
        models: ModelRepository | None = None,
        message_bytes: int = MESSAGE_LIMIT,
    ) -> None:
        super().__init__(
            registered_models=models,
            http_port=http_port,
            grpc_port=grpc_port,
            workers=1,
            grace_period=grace_seconds,
            enable_latency_logging=False,
        )
        self._host = host
        self._message_bytes = message_bytes
        self._socket = _bind(host, http_port)
        self._ending = asyncio.Event()
        self._failed = False

    async def run(
        self,
        model: Model,
        wrap: Callable[[App], App],
        service: grpc.GenericRpcHandler | None = None,
        front: Callable[[RpcHandler], RpcHandler] | None = None,
        check: BodyCheck | None = None,
        extension: grpc.GenericRpcHandler | None = None,
    ) -> bool:
        """Serve until SIGTERM or SIGINT, then finish the requests in flight within the grace.

        ``wrap`` makes the application that is served from KServe's. gRPC calls go to ``service``, by default to
        ``extension`` and then to KServe's; ``front`` makes the handler that is asked first from the one that forwards
        to it. ``check`` looks at the bodies of HTTP requests first. The port takes HTTP and gRPC, and says by gRPC's
        health service whether the model is ready.

        Returns:
            False when the model was lost, True when the server was stopped.

        Raises:
            PortError: the second port cannot be bound.
        """
        settle_heap()
        self.register_model(model)
        service_server, target = await self._start_grpc(service, extension)
        # gRPC's library only ends calls here, on loopback: a port of its own would have no limits of ours, and Knative
        # opens no second one.
        rpc: RpcHandler = with_health(Health(lambda: bool(model.ready)), logged_calls(self._forward_to(target)))
        rpc = rpc if front is None else front(rpc)
        handler = handler_of(self._application(wrap), body_bytes=self._message_bytes, check=check)
        limits = ServerLimits(body_memory=ServerLimits.memory_for(self._message_bytes))
        server = Server(logged(handler), limits, rpc=rpc, access=loopback_access(self._host))

        def on_drain() -> None:
            model.ready = False

        try:
            await server.listen(sock=self._socket)
            await self._listen_on_second_port(server)
            await serve_until_signal(
                server, drain_seconds=0, grace_seconds=self.grace_period, on_drain=on_drain, stop=self._ending
            )
        finally:
            # Without a grace of its own: what it served has been forwarded by a server that is drained.
            await service_server.stop(0)
        return not self._failed

    def _forward_to(self, target: str) -> RpcHandler:
        """Return a handler that forwards calls to gRPC's library, which holds their messages in this process."""

        async def forward(call: GrpcCall) -> None:
            await call.hold_memory(self._message_bytes)
            await call.forward(target, call.metadata)

        return forward

    def lost(self, reason: str) -> None:
        """Stop because the model cannot respond any more; the process's supervisor starts it again."""
        logger.error("stopping: %s", reason)
        self._failed = True
        self._ending.set()

    def _application(self, wrap: Callable[[App], App]) -> App:
        errors.install(kserve_app)
        self._register_routes()
        kserve_app.router.redirect_slashes = False  # a redirect would name this pod, which the client cannot reach
        return wrap(kserve_app)

    def _register_routes(self) -> None:
        """Add KServe's V1 and V2 routes; looking for its OpenAI ones would import torch and vLLM, and find none."""
        kserve_app.add_api_route("/", self.dataplane.live)
        kserve_app.add_api_route("/metrics", _metrics)
        register_v1_endpoints(kserve_app, self.dataplane, self.model_repository_extension)
        register_v2_endpoints(kserve_app, self.dataplane, self.model_repository_extension)

    async def _start_grpc(
        self, service: grpc.GenericRpcHandler | None, extension: grpc.GenericRpcHandler | None
    ) -> tuple[grpc.aio.Server, str]:
        """Start the gRPC service behind the ports, on loopback; return it and its address."""
        server = self._grpc(service, extension)
        port = server.add_insecure_port(f"{_LOOPBACK}:0")
        await server.start()
        return server, f"{_LOOPBACK}:{port}"

    async def _listen_on_second_port(self, server: Server) -> None:
        """Listen on the second port, if there is one, for clients that use one port for each protocol.

        Raises:
            PortError: the port cannot be bound.
        """
        if not self.grpc_port:
            return
        try:
            await server.listen(self._host, self.grpc_port)
        except OSError as err:
            raise PortError(f"--grpc_port {self.grpc_port} cannot be bound on {self._host}: {err}") from err

    def _grpc(
        self, service: grpc.GenericRpcHandler | None, extension: grpc.GenericRpcHandler | None
    ) -> grpc.aio.Server:
        options: list[tuple[str, Any]] = [
            ("grpc.max_send_message_length", self._message_bytes),
            ("grpc.max_receive_message_length", self._message_bytes),
            # On by default, which lets another process of the same user share the port and take calls.
            ("grpc.so_reuseport", 0),
        ]
        if service is not None:
            server = grpc.aio.server(interceptors=(RequestIds(),), options=options)
            server.add_generic_rpc_handlers((service,))
        else:
            server = grpc.aio.server(interceptors=(RequestIds(), ErrorStatuses()), options=options)
            if extension is not None:
                server.add_generic_rpc_handlers((extension,))
            add_GRPCInferenceServiceServicer_to_server(
                OneModelServicer(self.dataplane, self.model_repository_extension), server
            )
        return server


class RequestIds(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Gives the logs of a call its ids: gRPC's library runs it in a task that knows nothing of who forwarded it."""

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        request_log.begin(request_log.of_metadata(handler_call_details.invocation_metadata))
        return await continuation(handler_call_details)


class ErrorStatuses(ExceptionToStatusInterceptor):  # type: ignore[misc]
    """The statuses of ``errors.of_exception``; KServe's own take a model's failure for its client's fault.

    A message that is none is its client's fault too; gRPC's library would say UNKNOWN, and log it as ours.
    """

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        handler = await super().intercept_service(continuation, handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler
        return handler._replace(request_deserializer=partial(_or_error, handler.request_deserializer))

    async def intercept(self, method: Any, request_or_iterator: Any, context: Any, method_name: str) -> Any:
        if isinstance(request_or_iterator, DecodeError):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request cannot be read: {request_or_iterator}")
        return await super().intercept(method, request_or_iterator, context, method_name)

    async def handle_exception(self, ex: Exception, request_or_iterator: Any, context: Any, method_name: str) -> None:
        await abort(context, of_exception(ex))


def _or_error(parse: Callable[[bytes], Any], message: bytes) -> Any:
    try:
        return parse(message)
    except DecodeError as err:
        return err


async def _metrics(request: Request) -> Response:
    # vLLM counts in the registry of the process. KServe's own handler writes its names otherwise in OpenMetrics.
    page, content_type = exposition(REGISTRY, request.headers.get("accept", "").encode())
    return Response(page, headers={"content-type": content_type.decode()})


def _bind(host: str, port: int) -> socket.socket:
    """Bind the port before the model is loaded, so that a port in use is reported at once."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as err:
        raise PortError(f"--http_port {port} cannot be bound on {host}: {err.strerror}") from err
    return listener


def run_to_end(main: Any) -> int:
    """Run a coroutine on uvloop; return its result, an exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code: int = runner.run(main)
    return code
