"""A store that sends whatever a test wants, whatever it is asked for."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class LyingStore(ThreadingHTTPServer):
    """Each request is given to ``respond``; ``asked`` has the headers of each, ``paths`` its path."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, respond: Callable[["Request"], None]) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.respond = respond
        self.paths: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.closing = threading.Event()

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Request(BaseHTTPRequestHandler):
    server: LyingStore

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        try:
            self.server.respond(self)
        except OSError:  # the client went away
            self.close_connection = True

    do_HEAD = do_GET

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_for_ever(self, chunk: bytes, pause: float, **headers: str) -> None:
        """Send a body without an end, until the client or the test goes away."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        while not self.server.closing.wait(pause):
            self.wfile.write(chunk)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def lying_store(respond: Callable[[Request], None]) -> Iterator[LyingStore]:
    with LyingStore(respond) as store:
        threading.Thread(target=store.serve_forever, daemon=True).start()
        try:
            yield store
        finally:
            store.closing.set()
            store.shutdown()
