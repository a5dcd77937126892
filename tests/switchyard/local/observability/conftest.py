"""A server with fixed pages of JSON, as a program that observes a run has them."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

Pages = dict[str, object]


class _Server(ThreadingHTTPServer):
    pages: Pages


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        found = next((page for path, page in self.server.pages.items() if self.path.startswith(path)), None)
        self.send_response(200 if found is not None else 404)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def serve() -> Iterator[Callable[[Pages], str]]:
    """Serve pages, each by how its target begins, at the URL that is returned."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)

        def start(pages: Pages) -> str:
            server.pages = pages
            thread.start()
            return f"http://127.0.0.1:{server.server_port}"

        yield start
        if thread.ident:
            server.shutdown()
            thread.join()
