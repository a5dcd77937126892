"""What `switchyard trace` makes of Jaeger's responses."""

from collections.abc import Callable

import pytest

from switchyard.local.errors import LocalError
from switchyard.local.observability import traces
from tests.switchyard.local.observability.conftest import Pages

TRACE = "0af7651916cd43dd8448eb211c80319c"


def span(name: str, process: str, start: int, duration: int, parent: str = "", **tags: object) -> dict[str, object]:
    return {
        "spanID": name,
        "operationName": name,
        "processID": process,
        "startTime": 1_000_000 + start,
        "duration": duration,
        "references": [{"refType": "CHILD_OF", "spanID": parent}] if parent else [],
        "tags": [{"key": key.replace("__", "."), "value": value} for key, value in tags.items()],
    }


FOUND = {
    "traceID": TRACE,
    "processes": {"p1": {"serviceName": "gateway"}, "p2": {"serviceName": "chat"}},
    "spans": [
        span("second", "p2", 50_000, 1500, "call", error=True),
        span("call", "p1", 0, 100_000, "of-the-caller", switchyard__tenant="acme", span__kind="server"),
        span("first", "p2", 10_000, 20_000, "call"),
        span("step", "p2", 12_000, 500, "first"),
    ],
}
LINES = [
    "gateway  call                                                       0.0 ms      100.0 ms",
    "├─ chat  first                                                     10.0 ms       20.0 ms",
    "│  └─ chat  step                                                   12.0 ms        0.5 ms",
    "└─ chat  second                                                    50.0 ms        1.5 ms  failed",
]


def test_spans_are_a_tree_in_the_order_of_their_start(serve: Callable[[Pages], str]) -> None:
    found, roots = traces.find(serve({f"/api/traces/{TRACE}": {"data": [FOUND]}}), TRACE)
    assert found == TRACE
    assert list(traces.lines(roots, attributes=False)) == LINES


def test_attributes_stand_below_their_span_without_those_of_the_format(serve: Callable[[Pages], str]) -> None:
    _, roots = traces.find(serve({f"/api/traces/{TRACE}": {"data": [FOUND]}}), TRACE)
    lines = list(traces.lines(roots, attributes=True))
    assert lines[1] == "│   switchyard.tenant=acme"
    assert "span.kind" not in "\n".join(lines)


def test_a_request_is_found_by_its_id_at_the_service_that_has_it(serve: Callable[[Pages], str]) -> None:
    url = serve(
        {
            "/api/services": {"data": ["chat", "gateway"]},
            "/api/traces?service=gateway&tag=switchyard.request_id%3Areq-1&": {"data": []},
            "/api/traces?service=chat&tag=switchyard.request_id%3Areq-1&": {"data": [FOUND]},
        }
    )
    assert traces.find(url, "req-1")[0] == TRACE


@pytest.mark.parametrize("services", [None, ["gateway"]])
def test_one_that_is_not_there_is_an_error_that_says_why_it_may_be(
    services: list[str] | None, serve: Callable[[Pages], str]
) -> None:
    url = serve({"/api/services": {"data": services}, "/api/traces?": {"data": []}})
    with pytest.raises(LocalError, match="no trace of req-1: it was not sampled"):
        traces.find(url, "req-1")
