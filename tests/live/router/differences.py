"""One graph and request for each rule in which our router differs from KServe's."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.live.router.contract import Asked
from tests.live.router.graphs import SERVICES, Case, url
from tests.live.router.upstream import Reply

_TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
_OK = Reply(200, b'{"tier":"fast"}')


@dataclass(frozen=True, slots=True)
class Example:
    graph: dict[str, Any]
    case: Case


def _sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": {"root": {"routerType": "Sequence", "steps": list(steps)}}}


def _example(graph: dict[str, Any], first: Reply = _OK, **headers: str) -> Example:
    asked = Asked(
        method="POST",
        target="/openai/v1/chat/completions?a=b",
        body=b'{"model":"chat-fast"}',
        headers={"content-type": "application/json", **headers},
    )
    return Example(graph, Case(asked, (first, *[_OK] * (SERVICES - 1))))


def _to(service: int, path: str = "/infer", **more: Any) -> dict[str, Any]:
    return {"serviceUrl": url(service, path), **more}


DIFFERENCES: Mapping[str, Example] = {
    "nested_failures_keep_their_status": _example(
        {
            "nodes": {
                "root": {"routerType": "Sequence", "steps": [{"nodeName": "inner"}]},
                "inner": {"routerType": "Switch", "steps": [_to(0, condition="absent")]},
            }
        }
    ),
    "condition_keeps_status": _example(_sequence(_to(0), _to(1, condition="tier")), Reply(429, b'{"error":"e"}')),
    "events_end_a_sequence": _example(
        _sequence(_to(0), _to(1, condition="tier")), Reply(200, b"data: 1\n\n", "text/event-stream")
    ),
    "next_step_is_fallback": _example(_sequence(_to(SERVICES), _to(1, condition="[@this].#(error.code==503)"))),
    "unavailable_is_retried": _example(_sequence(_to(0)), Reply(503, b'{"error":"e"}')),
    "target_is_kept": _example(_sequence(_to(0, ""))),
    "errors_have_the_callers_shape": _example(_sequence(_to(SERVICES))),
    "trace_context_is_kept": _example(_sequence(_to(0)), traceparent=_TRACE),
}
