"""The graph that is shipped, with the real complexity step, when a tier is away."""

import asyncio
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import go
from switchyard.local.plan.render import render
from tests.live.processes import eventually
from tests.live.router import routers
from tests.ports import free_port
from tests.predictors.complexity.conftest import Predictor
from tests.switchyard.router.running import Call, Router, router, services

pytestmark = pytest.mark.live

ROOT = Path(__file__).parents[3]
EVENTS = [b"data: one\n\n", b"data: two\n\n"]


@pytest.fixture(scope="module")
def complexity(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    started = Predictor(tmp_path_factory.mktemp("complexity"))
    try:
        yield started.wait_ready()
    finally:
        started.stop()


def nodes(hosts: dict[str, str], path: str = "") -> dict[str, Any]:
    """The nodes of ``auto`` as the local overlay renders it, with other hosts and ``path`` behind those without one."""
    documents = render(ROOT / "kustomize/overlays/local")
    (graph,) = [one for one in documents if one["kind"] == "InferenceGraph" and one["metadata"]["name"] == "auto"]
    text = json.dumps(graph["spec"]["nodes"])
    for name, url in hosts.items():
        host = f"http://{name}-predictor.switchyard-local.svc.cluster.local"
        text = text.replace(f'{host}"', f'{url}{path}"').replace(host, url)
    assert "cluster.local" not in text
    found: dict[str, Any] = json.loads(text)
    return found


class Tiers:
    """Both tiers; a name in ``away`` answers 503."""

    def __init__(self) -> None:
        self.away: set[str] = set()
        self.asked: list[str] = []

    async def __call__(self, call: Call) -> None:
        body = json.loads(call.body)
        self.asked.append(body["model"])
        if body["model"] in self.away:
            call.exchange.respond(503, [(b"content-type", b"text/plain")], b"no healthy upstream")
        elif body.get("stream"):
            call.exchange.start(200, [(b"content-type", b"text/event-stream")])
            for event in EVENTS:
                call.exchange.write(event)
            call.exchange.end()
        else:
            call.answer({"model": body["model"], "choices": []})


@pytest.fixture
def tiers() -> Tiers:
    return Tiers()


@pytest.fixture
async def graph(complexity: Predictor, tiers: Tiers) -> AsyncIterator[Router]:
    async with services(openai=tiers) as behind:
        hosts = {"chat-fast": behind.url, "chat-reasoning": behind.url, "complexity": complexity.url}
        async with router(behind, nodes(hosts)) as running:
            yield running


async def ask(graph: Router, prompt: str, **fields: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": prompt}], **fields}
    return await graph.post(body, "/openai/v1/chat/completions")


EFFORT = {"chat-fast": "none", "chat-reasoning": "high"}  # chooses the tier whatever the prompt


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("first", "second"), [("chat-fast", "chat-reasoning"), ("chat-reasoning", "chat-fast")])
async def test_the_other_tier_responds_when_one_is_away(
    graph: Router, tiers: Tiers, first: str, second: str, stream: bool
) -> None:
    tiers.away = {first}
    answer = await ask(graph, f"Hello {first} {stream}", reasoning_effort=EFFORT[first], stream=stream)

    assert answer.status_code == 200
    assert tiers.asked == [first, second]
    assert answer.headers["x-switchyard-reason"] == "failover"
    assert answer.headers["x-switchyard-tier"] == second.removeprefix("chat-")
    assert answer.content == b"".join(EVENTS) if stream else answer.json()["model"] == second


async def test_when_both_are_away_the_client_hears_it(graph: Router, tiers: Tiers) -> None:
    tiers.away = set(EFFORT)
    answer = await ask(graph, "Hello, is anybody there?")

    assert answer.status_code == 503
    assert sorted(set(tiers.asked)) == sorted(EFFORT)


async def test_a_tier_that_responds_is_the_only_one_asked(graph: Router, tiers: Tiers) -> None:
    answer = await ask(graph, "Hello, only you", reasoning_effort="none")

    assert answer.json()["model"] == "chat-fast"
    assert tiers.asked == ["chat-fast"]
    assert answer.headers["x-switchyard-tier"] == "fast"


async def test_the_clients_own_mistake_is_not_tried_on_both(graph: Router, tiers: Tiers) -> None:
    answer = await graph.post({"model": "auto", "messages": 3}, "/openai/v1/chat/completions")

    assert answer.status_code == 400
    assert tiers.asked == []


@pytest.fixture
async def kserves(complexity: Predictor, tiers: Tiers, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of KServe's own router with the same graph; it posts to URLs as they are, so that they have paths."""
    async with services(openai=tiers) as behind:
        hosts = {"chat-fast": behind.url, "chat-reasoning": behind.url, "complexity": complexity.url}
        graph = {"nodes": nodes(hosts, "/openai/v1/chat/completions")}
        port = free_port()
        env = {**os.environ, "ROUTER_ADDRESS": f"127.0.0.1:{port}"}
        argv = (go.kserve_router(), "--graph-json", json.dumps(graph))
        null = subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*argv, env=env, stdout=null, stderr=null)
        try:
            await asyncio.to_thread(eventually, routers.Router(port).is_ready, "KServe's router is ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("model", EFFORT)
async def test_the_graph_works_unstreamed_behind_kserves_own_router(kserves: str, tiers: Tiers, model: str) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "Hello"}], "reasoning_effort": EFFORT[model]}
    async with httpx.AsyncClient(timeout=20) as client:
        answer = await client.post(kserves, json=body)

    assert answer.status_code == 200
    assert answer.json()["model"] == model
    assert tiers.asked == [model]
