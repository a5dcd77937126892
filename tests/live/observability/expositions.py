"""Pages of metrics of programs that do not run here, as files that tell them, with counters that grow."""

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "testdata" / "expositions"
GROWING = ("counter", "histogram", "summary")
GROWTH = 0.1  # of what the file says, with each scrape


def grown(text: str, scrapes: int) -> str:
    """Return the page at its scrape of this number, the first being 0."""
    lines, kind = [], ""
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            kind = line.rpartition(" ")[2]
        elif kind in GROWING and not line.startswith("#") and 'quantile="' not in line:
            series, _, value = line.rpartition(" ")
            line = f"{series} {float(value) * (1 + GROWTH * scrapes)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


@contextmanager
def serving() -> Iterator[str]:
    """Serve each file at ``/<its name without .prom>``; the value is the server's ``host:port``."""
    scrapes: dict[str, int] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/")
            scrapes[name] = scrapes.get(name, -1) + 1
            body = grown((FOLDER / f"{name}.prom").read_text(), scrapes[name]).encode()
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep scrapes out of the output of the tests."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
