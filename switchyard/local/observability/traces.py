"""One trace as a tree of lines, from the API of Jaeger: ``switchyard trace``."""

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from switchyard.local.errors import LocalError
from switchyard.local.observability import queries

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_REQUEST_ID = "switchyard.request_id"
_FIRST_SERVICE = "gateway"  # where nearly every request begins
_SERVICES = 50  # that are asked for a request id at most
_HOURS = 24.0
_WIDTH = 60
_INTERNAL = ("internal.", "otel.", "span.kind", "w3c.", "error")  # tags of Jaeger's and of its formats


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A span; ``began`` and ``seconds`` are in seconds, from the start of its trace."""

    service: str
    name: str
    began: float
    seconds: float
    failed: bool
    tags: Mapping[str, str]
    children: "list[Span]" = field(default_factory=list)


def find(jaeger: str, wanted: str) -> tuple[str, list[Span]]:
    """Return the id and the first spans of the trace whose id, or whose request's id, is ``wanted``.

    Raises:
        LocalError: there is none, or Jaeger does not respond.
    """
    trace = None
    if _TRACE_ID.fullmatch(wanted):
        trace = _first(queries.get(f"{jaeger}/api/traces/{wanted}"))
    if trace is None:
        trace = _of_request(jaeger, wanted)
    if trace is None:
        raise LocalError(
            f"there is no trace of {wanted}: it was not sampled, Jaeger keeps newer ones only, or it has not "
            "come yet, which takes some seconds"
        )
    return str(trace["traceID"]), tree(trace)


def _of_request(jaeger: str, request: str) -> Mapping[str, Any] | None:
    services = (queries.get(f"{jaeger}/api/services") or {}).get("data") or []
    now = time.time()
    times = {"start": str(int((now - _HOURS * 3600) * 1e6)), "end": str(int(now * 1e6)), "limit": "1"}
    for service in sorted(services, key=lambda name: name != _FIRST_SERVICE)[:_SERVICES]:
        query = {"service": service, "tag": f"{_REQUEST_ID}:{request}", **times}
        if trace := _first(queries.get(f"{jaeger}/api/traces", query)):
            return trace
    return None


def _first(response: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    traces = (response or {}).get("data") or []
    return traces[0] if traces else None


def tree(trace: Mapping[str, Any]) -> list[Span]:
    """Return the spans that have no parent in the trace, each with those below it in the order of their start."""
    rows = sorted(trace["spans"], key=lambda row: int(row["startTime"]))
    began = min(int(row["startTime"]) for row in rows)
    spans = {row["spanID"]: _span(row, trace["processes"], began) for row in rows}
    roots: list[Span] = []
    for row in rows:
        parent = next((one["spanID"] for one in row.get("references", ()) if one["refType"] == "CHILD_OF"), None)
        (spans[parent].children if parent in spans else roots).append(spans[row["spanID"]])
    return roots


def _span(row: Mapping[str, Any], processes: Mapping[str, Any], began: int) -> Span:
    tags = {tag["key"]: str(tag["value"]) for tag in row.get("tags", ())}
    return Span(
        service=processes[row["processID"]]["serviceName"],
        name=row["operationName"],
        began=(int(row["startTime"]) - began) / 1e6,
        seconds=int(row["duration"]) / 1e6,
        failed=tags.get("error", "") == "True" or tags.get("otel.status_code") == "ERROR",
        tags={key: value for key, value in sorted(tags.items()) if not key.startswith(_INTERNAL)},
    )


def lines(roots: Sequence[Span], *, attributes: bool) -> Iterator[str]:
    """Yield a line per span, indented below its parent: when it began, how long it took, what it is."""
    for root in roots:
        yield from _lines(root, "", "", attributes=attributes)


def _lines(span: Span, own: str, below: str, *, attributes: bool) -> Iterator[str]:
    name = f"{own}{span.service}  {span.name}"
    yield f"{name:<{_WIDTH}}  {1000 * span.began:>9.1f} ms  {1000 * span.seconds:>9.1f} ms{'  failed' * span.failed}"
    if attributes:
        bar = "│" if span.children else " "
        yield from (f"{below}{bar}   {key}={value}" for key, value in span.tags.items())
    for child in span.children:
        last = child is span.children[-1]
        yield from _lines(
            child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), attributes=attributes
        )
