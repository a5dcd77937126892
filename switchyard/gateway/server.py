"""Runs the gateway's HTTP and gRPC servers in one event loop until it is told to stop, then lets requests finish."""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Iterator

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from switchyard.catalog import CatalogSource
from switchyard.gateway.app import build, parts
from switchyard.gateway.context import request_id
from switchyard.gateway.rpc.server import serve as grpc_server
from switchyard.gateway.settings import Settings
from switchyard.http.asgi import App, Message, Receive, Scope, Send
from switchyard.http.client import Client, Limits
from switchyard.rpc.channels import Channels
from switchyard.telemetry import tracing

log = logging.getLogger(__name__)

_KEEP_ALIVE_SECONDS = 75  # longer than a client's or load balancer's usual 60, so that they close first


class _Protocol(HttpToolsProtocol):
    """uvicorn's, whose one answer of its own also gets a request id."""

    def send_400_response(self, msg: str) -> None:
        body = orjson.dumps({"error": {"message": msg, "type": "invalid_request_error", "param": None, "code": None}})
        head = b"HTTP/1.1 400 Bad Request\r\nserver: switchyard\r\ncontent-type: application/json\r\n"
        tail = b"content-length: %d\r\nx-request-id: %b\r\nconnection: close\r\n\r\n" % (len(body), request_id(None))
        self.transport.write(head + tail + body)
        self.transport.close()


class HttpServer(uvicorn.Server):
    """uvicorn without its signal handling: gRPC and the pools must end with it, in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Leaving:
    """An application; once it is ``leaving``, each answer is the last on its connection.

    So clients that keep connections go elsewhere between two requests, not in the middle of one (RFC 9112 §9.6).
    """

    def __init__(self, app: App) -> None:
        self.leaving = False
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.leaving:
            await self._app(scope, receive, send)
            return

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_last)


async def serve(settings: Settings, source: CatalogSource, host: str, http_port: int, grpc_port: int) -> None:
    """Serves until SIGTERM or SIGINT, and as long after it as the settings say.

    Raises:
        OSError: a port cannot be bound.
    """
    client, channels = Client(Limits()), Channels(settings.max_body_bytes)
    given = parts(settings, source, client, tracing.configure("gateway"))
    app = Leaving(build(given))
    http = HttpServer(http_config(app, settings, host, http_port))
    grpc, bound = grpc_server(source, channels, given.meter, f"{host}:{grpc_port}", settings.max_body_bytes)
    loop = asyncio.get_running_loop()
    stopping: list[asyncio.Task[None]] = []

    async def stop() -> None:
        app.leaving = True
        await asyncio.sleep(settings.drain_seconds)
        http.should_exit = True
        await grpc.stop(settings.grace_seconds)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: stopping.append(loop.create_task(stop())))
    await grpc.start()
    gc.collect()
    gc.freeze()  # what lives now lives to the end: collections during requests need not look at it again
    log.info("serving", extra={"http": f"{host}:{http_port}", "grpc": f"{host}:{bound}"})
    try:
        await http.serve()
    finally:
        await asyncio.gather(grpc.stop(settings.grace_seconds), *stopping)
        await channels.aclose()
        await client.aclose()
    log.info("stopped")


def http_config(app: object, settings: Settings, host: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        host=host,
        port=port,
        loop="none",
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        headers=[("server", "switchyard")],
        backlog=2048,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=int(settings.grace_seconds) or 1,
    )
