"""Services that answer as they are told and remember how they were called, each at a port of its own."""

import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class Reply:
    """What a service answers, whatever it is asked; status 0 hangs up instead, ``location`` is for redirects."""

    status: int
    body: bytes
    content_type: str = "application/json"
    location: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """A request that arrived at ``service``; header names are in lower case, several values of one joined by commas."""

    service: int
    method: str
    target: str
    body: bytes
    headers: Mapping[str, str] = field(hash=False)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Routers are killed when their graph is done; the connections that they kept then break."""


class Service:
    """One service; ``reply`` may be set at any time."""

    def __init__(self, number: int, calls: list[Call]) -> None:
        self.reply = Reply(200, b"{}")
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers: dict[str, str] = {}
                for name, value in self.headers.items():
                    known = headers.get(name.lower())
                    headers[name.lower()] = value if known is None else f"{known},{value}"
                calls.append(Call(number, self.command, self.path, body, headers))
                self._answer(service.reply)

            do_GET = do_POST = do_PUT = handle_any

            def _answer(self, reply: Reply) -> None:
                if not reply.status:
                    self.close_connection = True
                    return
                head = f"HTTP/1.1 {reply.status} Scripted\r\ncontent-type: {reply.content_type}\r\n"
                head += f"location: {reply.location}\r\n" if reply.location else ""
                self.wfile.write(f"{head}content-length: {len(reply.body)}\r\n\r\n".encode() + reply.body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Services:
    """Several services with one memory of ``calls``."""

    def __init__(self, count: int) -> None:
        self.calls: list[Call] = []
        self.all = [Service(number, self.calls) for number in range(count)]

    def close(self) -> None:
        for service in self.all:
            service.close()


def closed_port() -> int:
    """A port of this machine at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
