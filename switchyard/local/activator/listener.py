"""uvicorn on several loopback sockets, without its signal handlers and its ten wake-ups a second."""

import asyncio
import logging
import socket

import uvicorn

from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.local.activator.application import BrokenAnswer
from switchyard.local.plan import arguments

logger = logging.getLogger(__name__)


def loopback_socket() -> socket.socket:
    """A listening socket on a free loopback port."""
    listening = socket.socket()
    listening.bind((arguments.LOOPBACK, 0))
    return listening


class Listener:
    """Serves ``app`` on ``sockets``."""

    def __init__(self, app: App, sockets: list[socket.socket]) -> None:
        config = uvicorn.Config(
            _guarded(app),
            http="httptools",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            date_header=False,  # without uvicorn's main loop nobody would set the clock
            server_header=False,
            timeout_keep_alive=75,
            backlog=2048,
        )
        # Its tracebacks would repeat what _guarded has logged.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        config.load()
        self._server = uvicorn.Server(config)
        self._server.lifespan = config.lifespan_class(config)
        self._sockets = sockets

    async def start(self) -> None:
        """Accepts from now on; uvicorn's own ``serve`` would poll ten times a second for a flag."""
        await self._server.startup(sockets=self._sockets)

    async def stop(self, grace: float) -> None:
        """Accepts no more and finishes what is in flight within ``grace`` seconds."""
        self._server.config.timeout_graceful_shutdown = max(1, round(grace))
        await self._server.shutdown(sockets=self._sockets)


def _guarded(app: App) -> App:
    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except BrokenAnswer as err:
            logger.warning("%s", err)
            raise  # uvicorn then closes the connection before the answer's end
        except asyncio.CancelledError:
            raise
        except Exception:
            logger.exception("a request failed in local mode itself")
            raise

    return guarded
