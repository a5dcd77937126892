"""A collector that takes spans by OTLP over HTTP, as protobuf or as JSON, and keeps them for the test to look at."""

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.leaks.finding import keys_in

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Collector(ThreadingHTTPServer):
    """``url`` is what OTEL_EXPORTER_OTLP_ENDPOINT must be."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []  # of each request in protobuf
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"

    def of_caller(self, part: str) -> list[Span]:
        """The spans of the trace that ``PARENT`` belongs to whose names contain ``part``."""
        trace = PARENT.split("-")[1]
        return [span for span in self.spans if part in span.name and span.trace_id.hex() == trace]


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens for the duration of the block; no span that it gets may show a key."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
        assert keys_in("\n".join(map(str, server.spans)).encode()) == set()


class _Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        is_json = self.headers.get("content-type", "").startswith("application/json")
        if is_json:
            self.server.spans.extend(_of_json(body))
        else:
            resources, spans = _of_protobuf(body)
            self.server.resources.extend(resources)
            self.server.spans.extend(spans)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return


def _of_protobuf(body: bytes) -> tuple[list[dict[str, str]], list[Span]]:
    rows = ExportTraceServiceRequest.FromString(body).resource_spans
    resources = [{one.key: one.value.string_value for one in row.resource.attributes} for row in rows]
    return resources, [span for row in rows for scope in row.scope_spans for span in scope.spans]


def _of_json(body: bytes) -> list[Span]:
    """Names and ids only, which OTLP's JSON has in hexadecimal instead of protobuf's base64."""
    rows = json.loads(body)["resourceSpans"]
    return [_span(span) for resource in rows for scope in resource["scopeSpans"] for span in scope["spans"]]


def _span(row: dict[str, Any]) -> Span:
    trace, own, parent = (bytes.fromhex(row.get(key, "")) for key in ("traceId", "spanId", "parentSpanId"))
    return Span(name=row["name"], trace_id=trace, span_id=own, parent_span_id=parent)
