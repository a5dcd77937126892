"""Which traces the collector as shipped keeps, read back from a real Jaeger: those with an error, and slow ones."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from benchmarks.tenancy.platform import Process
from tests.live.observability.shipping import PROGRAMS
from tests.live.processes import ROOT, eventually, fetch
from tests.ports import free_port

pytestmark = pytest.mark.live

COLLECTOR = ROOT / "kustomize/components/monitoring/collector/collector.yaml"
HOST = "127.0.0.1"
JAEGER_PORTS = (
    "query.http-server",
    "query.grpc-server",
    "admin.http",
    "collector.otlp.grpc",
    "collector.otlp.http",
    "collector.grpc-server",
    "collector.http-server",
)
BOUND = 5.0  # seconds from which on a trace is slow
ERROR = {"code": 2}  # OTLP's number of the status

Span = Mapping[str, Any]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Start Jaeger; yield the address of its API, and the one at which it takes spans."""
    folder = tmp_path_factory.mktemp("jaeger")
    ports = {name: free_port() for name in JAEGER_PORTS}
    flags = [f"--{name}.host-port={HOST}:{port}" for name, port in ports.items()]
    env = {"SPAN_STORAGE_TYPE": "memory", "OTEL_TRACES_SAMPLER": "always_off"}
    process = Process((str(PROGRAMS / "jaeger"), *flags), folder / "jaeger", ports["query.http-server"], env)
    try:
        process.wait()
        yield process.url, f"{HOST}:{ports['collector.otlp.grpc']}"
    finally:
        process.stop()


@pytest.fixture(scope="module")
def collector(store: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start the collector as shipped, which keeps none of the ordinary traces; yield where it takes spans."""
    port, folder = free_port(), tmp_path_factory.mktemp("collector")
    env = {
        "COLLECTOR_HEALTH": f"{HOST}:{free_port()}",
        "COLLECTOR_OTLP_GRPC": f"{HOST}:{free_port()}",
        "COLLECTOR_OTLP_HTTP": f"{HOST}:{port}",
        "COLLECTOR_METRICS_HOST": HOST,
        "COLLECTOR_METRICS_PORT": str(free_port()),
        "COLLECTOR_TRACES": store[1],
        "COLLECTOR_DECISION_WAIT": "1s",
        "COLLECTOR_RATIO": "0",
        "COLLECTOR_HASH_SALT": "of a test",
    }
    process = Process((str(PROGRAMS / "otelcol"), f"--config=file:{COLLECTOR}"), folder / "collector", port, env)
    try:
        process.wait()
        yield process.url
    finally:
        process.stop()


def span(trace: str, seconds: float, parent: str = "", **more: Any) -> Span:
    """Return a span that ended now and took ``seconds``, as OTLP's JSON has it."""
    ended = time.time_ns()
    times = {"startTimeUnixNano": str(ended - int(seconds * 1e9)), "endTimeUnixNano": str(ended)}
    ids = {"traceId": trace, "spanId": uuid.uuid4().hex[:16], "parentSpanId": parent}
    return {"name": "test", "kind": 1, **ids, **times, **more}


def send(collector: str, *spans: Span) -> None:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "test"}}]}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]}
    status, said = fetch(f"{collector}/v1/traces", body)
    assert status == 200, said


def test_an_error_and_what_is_slow_are_kept_where_nothing_ordinary_is(store: tuple[str, str], collector: str) -> None:
    ordinary, slow, failed = (uuid.uuid4().hex for _ in range(3))

    def stored(trace: str) -> int:
        status, body = fetch(f"{store[0]}/api/traces/{trace}")
        return len(json.loads(body)["data"][0]["spans"]) if status == 200 else 0

    # Decisions are in the order in which traces began: what of the first is kept is stored with the last at the latest.
    send(collector, span(ordinary, BOUND - 0.1))
    send(collector, span(slow, BOUND + 0.1))
    first = span(failed, 0.1)
    send(collector, first, span(failed, 0.05, parent=str(first["spanId"]), status=ERROR))

    eventually(lambda: stored(slow) == 1, "the slow trace is stored")
    eventually(lambda: stored(failed) == 2, "the trace with an error is stored whole")
    assert stored(ordinary) == 0
