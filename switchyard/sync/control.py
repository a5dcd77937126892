"""The program's own port: whether it goes on, and its metrics."""

from prometheus_client import CollectorRegistry

from switchyard.http.server import Exchange
from switchyard.sync.board import Board
from switchyard.telemetry.exposition import metrics_page_in_thread


class Control:
    """The handler of a server for ``/healthz``, ``/readyz``, ``/status`` and ``/metrics``."""

    def __init__(self, board: Board, registry: CollectorRegistry) -> None:
        self._board = board
        self._registry = registry

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        if exchange.path in (b"/healthz", b"/readyz"):  # what listens follows
            exchange.respond(200, [(b"content-type", b"text/plain")], b"ok\n")
        elif exchange.path == b"/status":
            exchange.respond(200, [(b"content-type", b"application/json")], self._board.status.dumps().encode())
        elif exchange.path == b"/metrics":
            page, content_type = await metrics_page_in_thread(self._registry, exchange.fields.get(b"accept"))
            exchange.respond(200, [(b"content-type", content_type)], page)
        else:
            exchange.respond(404, [(b"content-type", b"text/plain")], b"there are /healthz, /status and /metrics\n")
