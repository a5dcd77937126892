"""uvicorn with signals of our own: not ready, then what is in flight, then the end.

Not KServe's ModelServer: this predictor has no tensors and no model that KServe could run, and importing the SDK would
cost more time and memory than everything else here together. The routes that KServe and its probes ask are in ``door``.
"""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import Callable, Iterator

import uvicorn

from switchyard.http.asgi import App

logger = logging.getLogger(__name__)


class Server(uvicorn.Server):
    """Ends when told to, by ``stop`` or by a signal that calls it."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def is_open(self) -> bool:
        """Whether it takes requests."""
        return not self.should_exit


async def serve(make: Callable[[Callable[[], bool]], App], *, host: str, port: int, grace_seconds: int) -> None:
    """Serves what ``make`` builds until SIGTERM or SIGINT; what ``make`` is given says whether requests are taken."""
    server: Server

    def is_open() -> bool:
        return server.is_open

    config = uvicorn.Config(
        make(is_open),
        host=host,
        port=port,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=2048,
        timeout_keep_alive=75,  # longer than the 60 s that proxies keep idle connections
        timeout_graceful_shutdown=grace_seconds or 1,
    )
    server = Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    gc.collect()
    gc.freeze()  # what lives now lives to the end: collections during requests need not look at it again
    await server.serve()
