"""A receiver of Alertmanager's webhook: what a pager would be told, and when."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from tests.live.processes import eventually


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One alert of one message; ``at`` is when it arrived, by the monotonic clock."""

    at: float
    status: str
    labels: dict[str, str]
    annotations: dict[str, str]

    @property
    def alert(self) -> str:
        return self.labels["alertname"]


class Receiver:
    """Listens on a free port of this machine while the block lasts, and keeps all that it was sent."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> "Receiver":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def told(self, alert: str, status: str = "firing", **labels: str) -> Iterator[Message]:
        """Yield the messages of an alert that has all ``labels``."""
        for message in [*self.messages]:
            if (message.alert, message.status) == (alert, status) and labels.items() <= message.labels.items():
                yield message

    def wait(self, alert: str, seconds: float, status: str = "firing", **labels: str) -> Message:
        """Wait until an alert arrives, and return its first message."""
        found: Message = eventually(
            lambda: next(self.told(alert, status, **labels), None),
            f"{alert} {labels} {status}; arrived: {sorted({message.alert for message in self.messages})}",
            seconds,
        )
        return found

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        messages = self.messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
                now = time.monotonic()
                messages.extend(
                    Message(at=now, status=one["status"], labels=one["labels"], annotations=one["annotations"])
                    for one in content["alerts"]
                )
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler
