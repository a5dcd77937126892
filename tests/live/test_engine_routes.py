"""The gateway's table of routes against the engines' own: whatever the gateway does not pass on has a reason here."""

import json
import re
import subprocess
import sys

import pytest

from switchyard.gateway.routes.table import ROUTES
from tests.live.processes import DEADLINE, ROOT

pytestmark = pytest.mark.live

CONTROL = "the operator's: it shows or changes the engine, not a response"
PARTS = "for vLLM's own parts, which render, generate and derender on different machines"
SAGEMAKER = "SageMaker's names for what has a route of its own"
REASONS = {  # by path: a reason holds for every method
    **dict.fromkeys(("/load", "/kv_event_sources", "/version"), CONTROL),
    **dict.fromkeys(("/scale_elastic_ep", "/is_scaling_elastic_ep", "/inference/v1/abort_requests"), CONTROL),
    **dict.fromkeys(
        (f"/v1/{name}/render" for name in ("chat/completions", "completions", "messages", "responses")), PARTS
    ),
    **dict.fromkeys(("/v1/chat/completions/derender", "/v1/completions/derender", "/inference/v1/generate"), PARTS),
    **dict.fromkeys(("/ping", "/invocations"), SAGEMAKER),
    **dict.fromkeys(("/score", "/rerank"), "other names of /v1/score and /v1/rerank"),
    **dict.fromkeys(("/v2/embed", "/v2/rerank"), "Cohere's protocol; what is below /v2 is Triton's here"),
    "/v1/chat/completions/batch": "a client's requests at once do the same, and each is counted and limited",
    "/generative_scoring": "vLLM's own, without a client; scores come from embedding models, by /v1/score",
    "/v1/systemone": "vLLM's own structured decisions, without a client; chats have response_format",
    "/v1/models/{}:explain": "KServe's explainers are components of their own, which no runtime here has",
}


def pattern(path: str) -> str:
    """A path with the same name for every variable."""
    return re.sub(r"{[^}]*}", "{}", path)


@pytest.fixture(scope="module")
def engines() -> dict[str, list[str]]:
    """Method and path of every route, by engine and kind of model."""
    argv = [sys.executable, "-m", "tests.live.engine_routes"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_every_route_of_an_engine_is_passed_on_or_has_a_reason(engines: dict[str, list[str]]) -> None:
    passed = {f"{route.method} {pattern(route.path)}" for route in ROUTES}
    missing = {
        pattern(route.partition(" ")[2])
        for routes in engines.values()
        for route in routes
        if pattern(route) not in passed
    }
    assert missing - set(REASONS) == set()
    assert set(REASONS) - missing == set()  # a reason for what is passed on, or is there no more, is stale


def test_every_route_that_is_passed_on_to_vllm_is_there(engines: dict[str, list[str]]) -> None:
    paths = {route.upstream.removeprefix("/openai") for route in ROUTES if route.upstream.startswith("/openai")}
    assert {f"POST {path}" for path in paths} - {*engines["llm"], *engines["embedding"]} == set()
