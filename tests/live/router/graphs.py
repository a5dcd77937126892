"""Graphs, requests and replies that are likely to meet: hypothesis strategies for a router."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.live.router.contract import Asked
from tests.live.router.upstream import Reply

SERVICES = 4
PATTERNS = (
    "^X-Case$",
    "^X-Case$,Authorization",
    "X-,Content-Type",
    "X-Case,(?i)^x-request-id$,Cook.e,*bad*",
    "^X-Case$,^Traceparent$",
)
_REQUEST_CONDITIONS = (
    '[@this].#(model=="chat-fast")',
    '[@this].#(model%"chat-*")',
    "[@this].#(n>=2)",
    "model",
    "messages.0.role",
    'messages.#(role=="system")',
    "predictions",
    "instances.#",
    "@this",
)
_ANSWER_CONDITIONS = (
    "error",
    "error.code",
    "[@this].#(error.code==503)",
    "predictions",
    "predictions.#(>0)",
    '[@this].#(tier=="fast")',
    "tier",
    "@this",
)
_BODIES = (
    b'{"model":"chat-fast","messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]}',
    b'{"model":"chat-reasoning","n":2,"messages":[]}',
    b'{"model":"code","model":"chat-fast"}',
    b'{"instances":[[1.5,2],[3,4]]}',
    b'{"predictions":[1],"model":"x"}',
    b"[1,2]",
    b"null",
    b"no json",
    b"",
    '{"model":"chät","n":3}'.encode(),
)
_REPLIES = (
    b'{"predictions":[1,2.5,{"a":"b"}]}',
    b'{"Predictions":[3],"x":1}',
    b'{"predictions":[],"tier":"fast"}',
    b'{"predictions":{"a":1}}',
    b'{"tier":"fast","model":"chat-fast"}',
    b'{"error":{"code":503,"message":"m"}}',
    b'{"error":"e"}',
    b'{"id":"x","choices":[{"message":{"content":"hi <b>"}}]}',
    b"[1]",
    b"null",
    b"plain text",
    b"",
)
_STATUSES = (200, 200, 200, 200, 201, 400, 404, 429, 500, 502, 503, 504, 0)


@dataclass(frozen=True, slots=True)
class Case:
    """A request, and what each service replies; a URL that names no service leads to where nobody listens."""

    asked: Asked
    replies: tuple[Reply, ...]


def url(service: int, path: str) -> str:
    """A URL whose address is filled in when ports are known."""
    return f"http://service-{service}{path}"


_URLS = st.builds(
    url, st.integers(0, SERVICES), st.sampled_from(("/v1/models/m:predict", "/v2/models/m/infer?a=1", "/", "", ""))
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """Every node type, nested up to three deep; some nodes have several steps that lead to them."""
    nodes: dict[str, Any] = {}

    def node(name: str, depth: int) -> None:
        kind = draw(st.sampled_from(("Switch", "Splitter", "Ensemble", "Sequence", "Sequence")))
        count = draw(st.integers(1, 3))
        steps: list[dict[str, Any]] = []
        nodes[name] = {"routerType": kind, "steps": steps}
        chosen = draw(st.integers(0, count - 1))
        for index in range(count):
            step = _step(draw, kind, index)
            if kind == "Splitter":
                step["weight"] = 100 if index == chosen else 0
            if depth < 2 and draw(st.integers(0, 2)) == 0:
                step["nodeName"] = f"{name}-{index}"
                node(step["nodeName"], depth + 1)
            else:
                step["serviceUrl"] = draw(_URLS)
            steps.append(step)

    node("root", 0)
    return {"nodes": nodes, "minReplicas": 1, "resources": {}}


def _step(draw: st.DrawFn, kind: str, index: int) -> dict[str, Any]:
    step: dict[str, Any] = {}
    if draw(st.booleans()):
        step["name"] = f"s{index}"
    if draw(st.integers(0, 2)) == 0:
        step["dependency"] = draw(st.sampled_from(("Soft", "Hard", "Hard")))
    if kind == "Switch":
        step["condition"] = draw(st.sampled_from(_REQUEST_CONDITIONS))
    if kind == "Sequence":
        if index and draw(st.booleans()):
            step["condition"] = draw(st.sampled_from(_ANSWER_CONDITIONS))
        if index and draw(st.booleans()):
            step["data"] = draw(st.sampled_from(("$response", "$response", "$request")))
        if draw(st.integers(0, 3)) == 0:
            step["mapPredictionsToInstances"] = True
    return step


_HEADERS = st.fixed_dictionaries(
    {"content-type": st.sampled_from(("application/json", "application/json; charset=utf-8", "text/plain"))},
    optional={
        "authorization": st.just("Bearer t"),
        "x-request-id": st.just("r-1"),
        "x-other": st.just("o"),
        "cookie": st.just("a=b"),
        "x-switchyard-tenant": st.just("t-1"),
        "traceparent": st.just("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    },
)
_ASKED = st.builds(
    Asked,
    method=st.sampled_from(("POST", "POST", "PUT")),
    target=st.sampled_from(("/", "/openai/v1/chat/completions", "/v2/models/m/infer?x=%20y&z")),
    body=st.sampled_from(_BODIES),
    headers=_HEADERS,
)
_REPLY = st.builds(
    Reply,
    st.sampled_from(_STATUSES),
    st.sampled_from(_REPLIES),
    st.sampled_from(("application/json", "application/json", "text/plain", "text/event-stream; charset=utf-8")),
)


def cases() -> st.SearchStrategy[list[Case]]:
    """Some requests for one graph."""
    replies = st.tuples(*[_REPLY] * SERVICES)
    return st.lists(st.builds(Case, _ASKED, replies), min_size=3, max_size=8)
