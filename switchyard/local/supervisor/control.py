"""The supervisor's own endpoint: ``/status`` for ``switchyard status`` and ``/metrics`` for Prometheus."""

from collections.abc import Mapping

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from switchyard.http.server import Exchange
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.status.board import StatusBoard
from switchyard.local.supervisor.graph_decisions import Decisions


class Control:
    """The handler of a server."""

    def __init__(
        self,
        *,
        board: StatusBoard,
        queues: Mapping[str, RequestQueue],
        decisions: Decisions,
        registry: CollectorRegistry,
    ) -> None:
        self._board = board
        self._queues = queues
        self._decisions = decisions
        self._registry = registry

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        if exchange.path == b"/metrics":
            page = generate_latest(self._registry)
            exchange.respond(200, [(b"content-type", CONTENT_TYPE_LATEST.encode())], page)
        elif exchange.path == b"/status":
            exchange.respond(200, [(b"content-type", b"application/json")], orjson.dumps(await self._status()))
        else:
            exchange.respond(404, [(b"content-type", b"text/plain")], b"there are /status and /metrics\n")

    async def _status(self) -> dict[str, dict[str, object]]:
        report = self._board.report()
        for name, queue in self._queues.items():
            report[name] |= {"held": queue.waiting, "in_flight": queue.in_flight}
        for name, decided in (await self._decisions.by_step()).items():
            report[name]["decisions"] = decided
        return report
