"""The supervisor's own endpoint: ``/status`` and ``/edits`` for the command line, the rest for what observes a run."""

from collections.abc import Awaitable, Callable, Mapping

import orjson
from prometheus_client import CollectorRegistry

from switchyard.http.server import Exchange
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.errors import LocalError
from switchyard.local.observability import alert_relay
from switchyard.local.observability.alert_relay import AlertRelay
from switchyard.local.observability.targets import Targets
from switchyard.local.status.board import StatusBoard
from switchyard.local.supervisor.edits import Taken
from switchyard.local.supervisor.graph_decisions import Decisions
from switchyard.telemetry.exposition import metrics_page_in_thread


class Control:
    """The handler of a server; ``take_edits`` passes on edits of the overlay, ``relay`` alerts, if they go anywhere."""

    def __init__(
        self,
        *,
        board: StatusBoard,
        queues: Callable[[], Mapping[str, RequestQueue]],
        decisions: Decisions,
        registry: CollectorRegistry,
        take_edits: Callable[[], Awaitable[Taken]],
        targets: Targets,
        relay: AlertRelay | None = None,
    ) -> None:
        self._board = board
        self._queues = queues
        self._decisions = decisions
        self._registry = registry
        self._take_edits = take_edits
        self._targets = targets
        self._relay = relay

    async def handle(self, exchange: Exchange) -> None:
        """Respond to one request."""
        if exchange.path == b"/metrics":
            page, content_type = await metrics_page_in_thread(self._registry, exchange.fields.get(b"accept"))
            exchange.respond(200, [(b"content-type", content_type)], page)
        elif exchange.path == b"/status":
            exchange.respond(200, [(b"content-type", b"application/json")], orjson.dumps(await self._status()))
        elif exchange.path == b"/targets":
            exchange.respond(200, [(b"content-type", b"application/json")], orjson.dumps(self._targets.page()))
        elif exchange.path == b"/edits" and exchange.method == b"POST":
            # It says nothing of what to take: whoever can edit the overlay decides that, not whoever reaches this port.
            status, result = await self._edits()
            exchange.respond(status, [(b"content-type", b"application/json")], orjson.dumps(result))
        elif exchange.path == alert_relay.PATH.encode() and self._relay is not None:
            await self._relay.handle(exchange)
        else:
            told = b"there are /status, /metrics, /targets and POST /edits\n"
            exchange.respond(404, [(b"content-type", b"text/plain")], told)

    async def _edits(self) -> tuple[int, dict[str, object]]:
        try:
            taken = await self._take_edits()
        except LocalError as err:
            return 409, {"error": str(err)}
        return 200, {"edited": taken.edited, "problem": taken.problem}

    async def _status(self) -> dict[str, dict[str, object]]:
        report = self._board.report()
        for name, queue in self._queues().items():
            report[name] |= {"held": queue.waiting, "in_flight": queue.in_flight}
        for name, decided in (await self._decisions.by_step()).items():
            report[name]["decisions"] = decided
        return report
