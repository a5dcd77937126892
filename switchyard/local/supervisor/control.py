"""The supervisor's own door: ``/status`` for ``switchyard status`` and ``/metrics`` for Prometheus."""

from collections.abc import Mapping

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from switchyard.http.asgi import App, Receive, Scope, Send
from switchyard.local.activator.request_queue import RequestQueue
from switchyard.local.status.board import StatusBoard
from switchyard.local.supervisor.decisions import Decisions


class Control:
    """A plain ASGI application."""

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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/metrics":
            await _answer(send, 200, CONTENT_TYPE_LATEST, generate_latest(self._registry))
        elif scope["path"] == "/status":
            await _answer(send, 200, "application/json", orjson.dumps(await self._status()))
        else:
            await _answer(send, 404, "text/plain", b"there are /status and /metrics\n")

    async def _status(self) -> dict[str, dict[str, object]]:
        report = self._board.report()
        for name, queue in self._queues.items():
            report[name] |= {"held": queue.waiting, "in_flight": queue.in_flight}
        for name, decided in (await self._decisions.by_step()).items():
            report[name]["decisions"] = decided
        return report


class ByPort:
    """Sends the requests of one port to ``control`` and all others to ``activator``."""

    def __init__(self, port: int, control: App, activator: App) -> None:
        self._port = port
        self._control = control
        self._activator = activator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._control if scope["type"] == "http" and scope["server"][1] == self._port else self._activator
        await app(scope, receive, send)


async def _answer(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
