"""KServe's ModelServer with the parts that a production predictor needs: an address, a drain, an application of ours.

``kserve.ModelServer`` always binds every interface, adds a middleware to each streamed chunk and unloads models before
it has answered what is in flight; this subclass keeps its routes, protocols and error mapping and replaces those.
"""

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import grpc
import grpc.aio
import uvicorn
import uvloop
from kserve import Model, ModelRepository, ModelServer
from kserve.model_server import app as kserve_app
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import add_GRPCInferenceServiceServicer_to_server
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.rest.server import RESTServer, metrics_handler
from kserve.protocol.rest.v1_endpoints import register_v1_endpoints
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints

from predictors.serving.admission import App
from predictors.serving.one_port import Protocols
from switchyard.http.h2.grpc_call import RpcHandler, passing
from switchyard.http.server import Exchange, Server
from switchyard.settings import SettingsError

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 64 * 1024 * 1024  # bytes of one gRPC message
_LOOPBACK = "127.0.0.1"


class _Server(uvicorn.Server):
    """Leaves signals to the predictor, which drains HTTP and gRPC together."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class PredictorServer(ModelServer):  # type: ignore[misc]
    """Serves one ready model over V2 REST, V2 gRPC and whatever ``door`` adds, until a signal or ``lost`` ends it."""

    def __init__(
        self,
        *,
        host: str,
        http_port: int,
        grpc_port: int,
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
        door: Callable[[App], App],
        service: grpc.GenericRpcHandler | None = None,
        front: Callable[[str], RpcHandler] | None = None,
    ) -> bool:
        """Answers until SIGTERM or SIGINT, then finishes what is in flight within the grace.

        gRPC is KServe's own service unless ``service`` is given. ``front`` makes of that one's target what takes calls
        before it. Both ports take gRPC. Returns False when the model was lost rather than the server stopped.
        """
        self.register_model(model)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._ending.set)
        rpc, stop_rpc = await self._start_grpc(service, front or passing)
        http = self._http_server(door, rpc)
        serving = asyncio.ensure_future(http.serve(sockets=[self._socket]))
        ending = asyncio.ensure_future(self._ending.wait())
        await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
        model.ready = False
        http.should_exit = True
        await asyncio.gather(serving, stop_rpc())
        ending.cancel()
        return not self._failed

    def lost(self, reason: str) -> None:
        """The model cannot answer any more: stop, so that whoever supervises this process starts it again."""
        logger.error("stopping: %s", reason)
        self._failed = True
        self._ending.set()

    def _http_server(self, door: Callable[[App], App], calls: RpcHandler) -> _Server:
        rest = RESTServer("kserve.model_server:app", self.dataplane, self.model_repository_extension, self.http_port)
        rest._add_exception_handlers(kserve_app)
        self._register_routes()
        config = uvicorn.Config(
            door(kserve_app),
            log_config=None,
            access_log=False,
            proxy_headers=False,
            loop="none",
            http=cast(Any, Protocols(calls)),
            lifespan="off",
            timeout_keep_alive=75,  # longer than the 60 s that proxies keep idle connections
            timeout_graceful_shutdown=self.grace_period,
        )
        return _Server(config)

    def _register_routes(self) -> None:
        """KServe's V1 and V2 routes; to look for its OpenAI ones would import torch and vLLM, and find none."""
        kserve_app.add_api_route("/", self.dataplane.live)
        kserve_app.add_api_route("/metrics", metrics_handler)
        register_v1_endpoints(kserve_app, self.dataplane, self.model_repository_extension)
        register_v2_endpoints(kserve_app, self.dataplane, self.model_repository_extension)

    async def _start_grpc(
        self, service: grpc.GenericRpcHandler | None, front: Callable[[str], RpcHandler]
    ) -> tuple[RpcHandler, Callable[[], Awaitable[None]]]:
        """Listens; returns what takes calls, and what ends it within the grace.

        Raises:
            SettingsError: the port cannot be had.
        """
        server = self._grpc(service)
        try:
            rpc = front(f"{_LOOPBACK}:{server.add_insecure_port(f'{_LOOPBACK}:0')}")
            await server.start()
            port = Server(_grpc_alone, rpc=rpc)
            await port.listen(self._host, self.grpc_port)
        except (RuntimeError, OSError) as err:
            raise SettingsError(f"--grpc_port {self.grpc_port} cannot be had on {self._host}: {err}") from err

        async def stop() -> None:
            try:
                async with asyncio.timeout(self.grace_period):
                    await port.drain()
            except TimeoutError:
                logger.warning("gRPC calls were cut at the end of the grace")
                await port.aclose()
            await server.stop(self.grace_period)  # for calls that came by the other port

        return rpc, stop

    def _grpc(self, service: grpc.GenericRpcHandler | None) -> grpc.aio.Server:
        options: list[tuple[str, Any]] = [
            ("grpc.max_send_message_length", self._message_bytes),
            ("grpc.max_receive_message_length", self._message_bytes),
            ("grpc.so_reuseport", 0),
        ]
        if service is not None:
            server = grpc.aio.server(options=options)
            server.add_generic_rpc_handlers((service,))
        else:
            server = grpc.aio.server(
                ThreadPoolExecutor(1), interceptors=(ExceptionToStatusInterceptor(),), options=options
            )
            add_GRPCInferenceServiceServicer_to_server(
                InferenceServicer(self.dataplane, self.model_repository_extension), server
            )
        return server


async def _grpc_alone(exchange: Exchange) -> None:
    exchange.respond(415, [], b"")


def _bind(host: str, port: int) -> socket.socket:
    """Takes the port before the model is loaded, so that a port in use is told at once."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as err:
        raise SettingsError(f"--http_port {port} cannot be had on {host}: {err.strerror}") from err
    return listener


def run_to_end(main: Any) -> int:
    """Runs a coroutine on uvloop and returns its result, an exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code: int = runner.run(main)
    return code
