"""One table: protocol by state of the model by origin of the error, streamed or not, through a real gateway.

Every official client raises the class that its protocol has for the error and shows the sentence of whoever failed.
Gateway, activator, router, predictor and vision are real; what KServe, vLLM, Triton and proxies say is as they say it.
"""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from switchyard.catalog import Catalog, Kind, Model, State
from switchyard.catalog.models import Phase
from tests.errors.clients import CLIENTS, Client, Seen
from tests.errors.origins import ORIGINS
from tests.switchyard.gateway.conftest import Bench, Call, Script, gateway

REASON = "its weights are missing"
TEXT, ALL = ("llm", "embedding"), ("llm", "embedding", "vision")
FASTAPI = {"detail": [{"type": "missing", "loc": ["body", "inputs"], "msg": "Field required"}]}
VLLM = {"message": "max_tokens is too large", "type": "BadRequestError", "param": "max_tokens", "code": 400}
ANTHROPIC = {"type": "error", "error": {"type": "invalid_request_error", "message": "max_tokens is too large"}}


class Case(NamedTuple):
    """Who fails and how, what every client must see, and the kinds of models where this can happen."""

    origin: str
    error: str
    status: int
    sentence: str
    kinds: tuple[str, ...] = ALL
    payload: Any = None


BEHIND = (
    Case("activator", "failed", 503, "chat: no engine; see `switchyard logs chat`"),
    Case("activator", "overloaded", 503, "try again"),
    Case("router", "unreachable", 500, "step gone of node root: ", ("llm",)),
    Case("router", "unmatched", 404, "None of the routes matched"),
    Case("predictor", "overloaded", 503, "0 requests are in flight; try again shortly", TEXT),
    Case("vision", "unreachable", 503, "Triton does not respond", ("vision",)),
    Case("vision", "overloaded", 503, "try again", ("vision",)),
    Case("KServe", "not ready", 503, "Model is not ready", ALL, {"error": "Model is not ready"}),
    Case("KServe", "another protocol", 422, "read this request: body.inputs: Field required", ALL, FASTAPI),
    Case("KServe", "no route", 404, "does not serve this path", ALL, {"detail": "Not Found"}),
    Case("vLLM", "invalid", 400, "max_tokens is too large", TEXT, {"error": VLLM}),
    Case("vLLM", "to Anthropic", 400, "max_tokens is too large", TEXT, ANTHROPIC),
    Case("Triton", "failed", 500, "Unable to parse 'inputs'", ("vision",), {"error": "Unable to parse 'inputs'"}),
    Case("proxy", "lost", 502, "closed the connection", ALL, "upstream connect error"),
    Case("proxy", "full", 503, "cannot be reached; try again", ALL, "queue is full"),
    Case("any", "without a word", 500, "responded with 500", ALL, ""),
    Case("any", "crashed", 500, "Internal Server Error", ALL, "Internal Server Error"),
)


def saying(case: Case) -> Script:
    """A model's server that responds with the payload of a case."""

    async def respond(call: Call) -> None:
        if isinstance(case.payload, str):
            await call.start(case.status, b"text/plain")
            await call.end(case.payload.encode())
        else:
            await call.answer(case.payload, case.status)

    return respond


def models(url: str, grpc: str = "", *, retryable: bool = False) -> Catalog:
    """A model of each kind in each state, named ``kind-state``; ``retryable`` ones that failed are asked again."""
    rows = [
        Model(
            name=f"{kind}-{phase}",
            kind=kind,
            url=url,
            grpc=grpc,
            state=State(phase=phase, reason=REASON, retryable=retryable),
        )
        for kind in get_args(Kind)
        for phase in get_args(Phase)
    ]
    return Catalog({row.name: row for row in rows})


def problem(seen: Seen | None, client: Client, case: Case, *, in_stream: bool) -> str:
    """What is wrong with what a client shows, or nothing."""
    kind, status = client.expects(case.status, in_stream=in_stream)
    if seen is None:
        return "no exception"
    if not issubclass(seen.kind, kind) or seen.status != status:
        return f"{seen.kind.__name__} {seen.status}, not {kind.__name__} {status}: {seen.text}"
    return "" if case.sentence in seen.text else seen.text


async def problems(bench: Bench, case: Case, model: str) -> dict[str, str]:
    """What is wrong with what each client shows that can ask ``model``, which ``{kind}`` in its name makes its own."""
    found = {}
    for client in CLIENTS:
        if client.kind in case.kinds:
            name = model.replace("{kind}", client.kind)
            in_stream = client.streams and name.endswith("-waking")
            found[f"{client.name} {name}"] = problem(
                await client.seen(bench.url, name), client, case, in_stream=in_stream
            )
    return {name: text for name, text in found.items() if text}


@pytest.mark.parametrize("case", BEHIND, ids=lambda case: f"{case.origin}-{case.error}")
async def test_what_fails_behind_the_gateway_is_shown_by_every_client(case: Case, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        bench = await stack.enter_async_context(gateway(tmp_path, saying(case), retry_seconds=0.1))
        url = bench.model.url
        if case.payload is None:
            url = await stack.enter_async_context(ORIGINS[case.origin](case.error, tmp_path))
        bench.catalog.replace(models(url, retryable=True))
        for phase in ("ready", "waking", "failed"):
            assert await problems(bench, case, f"{{kind}}-{phase}") == {}


OWN = (
    (Case("gateway", "unknown", 404, "`nobody` does not exist; GET /v1/models lists"), "nobody"),
    (Case("gateway", "failed", 503, "its weights are missing"), "{kind}-failed"),
    (Case("gateway", "of another kind", 400, "is of kind step; "), "step-ready"),
    (Case("gateway", "unreachable", 503, "cannot be reached; try again"), "{kind}-ready"),
    (Case("gateway", "unreachable", 503, "cannot be reached; try again"), "{kind}-waking"),
    (Case("gateway", "overloaded", 503, "the gateway has 0 requests in flight; try again"), "{kind}-ready"),
)


@pytest.mark.parametrize(("case", "name"), OWN, ids=[f"{case.error}-{name}" for case, name in OWN])
async def test_what_the_gateway_rejects_itself_is_shown_by_every_client(case: Case, name: str, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"max_in_flight": 0 if case.error == "overloaded" else 100, "retry_seconds": 0.1}
    async with gateway(tmp_path, **settings) as bench:
        bench.catalog.replace(models("http://127.0.0.1:1"))
        assert await problems(bench, case, name) == {}


@pytest.mark.parametrize("phase", ["ready", "waking"])
async def test_what_a_model_cannot_stream_is_never_a_stream(phase: str, tmp_path: Path) -> None:
    async with gateway(tmp_path, saying(Case("vLLM", "invalid", 400, "", payload={"error": VLLM}))) as bench:
        bench.catalog.replace(models(bench.model.url))
        for path in ("/v1/embeddings", "/v1/score", "/v1/rerank", "/pooling", "/tokenize"):
            response = await bench.http.post(path, json={"model": f"embedding-{phase}", "input": "x", "stream": True})
            assert (response.status_code, response.json()) == (400, {"error": VLLM}), path
