"""Models and graphs of the dev overlay, from zero and back, through the gateway."""

import httpx
import pytest

from tests.cluster.client import SERVICES, Cluster
from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.layout import INGRESS_ADDRESS
from tools.cluster.machine.shell import eventually
from tools.cluster.platform.dev_overlay import NAMESPACE

pytestmark = pytest.mark.cluster


def test_a_sleeping_model_is_held_by_heartbeats_woken_answered_and_sleeps_again(cluster: Cluster) -> None:
    cluster.wait_asleep("chat-fast")
    answer = cluster.chat("chat-fast")
    assert answer.text
    assert answer.finish in ("stop", "length")
    assert answer.heartbeats >= 2, "the stream was silent while the model woke"
    eventually("the gateway sees it ready", lambda: cluster.models()["chat-fast"]["state"] == "ready", 15)
    cluster.wait_asleep("chat-fast")


def test_one_request_wakes_a_graph_its_step_and_a_model(cluster: Cluster) -> None:
    cluster.wait_asleep(*SERVICES)
    eventually("the graph at zero", lambda: not cluster.pods("serving.kserve.io/inferencegraph=auto"), 120, every=0.5)
    answer = cluster.chat("auto")
    assert answer.text
    assert answer.finish in ("stop", "length")


def test_graphs_run_our_router_by_the_platforms_own_setting(cluster: Cluster) -> None:
    service = kubectl.get("service.serving.knative.dev", "auto", "--namespace", NAMESPACE)
    container = service["spec"]["template"]["spec"]["containers"][0]
    assert container["image"].startswith("dev.local/switchyard-router:")
    assert "command" not in container
    assert container["args"][0] == "--graph-json"


def test_an_embedding_and_a_v2_request_get_responses(cluster: Cluster) -> None:
    with cluster.client() as client:
        told = client.post("/v1/embeddings", json={"model": "embed", "input": ["a sentence"]})
        assert told.status_code == 200, told.text
        assert len(told.json()["data"][0]["embedding"]) == 384
        asked = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["What is 2 + 3?"]}
        answer = client.post("/v2/models/chat-fast/infer", json={"inputs": [asked], "parameters": {"max_tokens": 8}})
        assert answer.status_code == 200, answer.text
        assert {output["name"] for output in answer.json()["outputs"]} >= {"text_output"}


def test_the_overlays_ingress_leads_to_the_gateway(cluster: Cluster) -> None:
    answer = httpx.get(f"http://{INGRESS_ADDRESS}/v1/models", headers={"Host": "models.example.org"}, trust_env=False)
    assert {row["id"] for row in answer.raise_for_status().json()["data"]} == set(cluster.models())


def test_the_gateway_lists_what_the_api_server_has(cluster: Cluster) -> None:
    rows = cluster.models()
    assert {name: rows[name]["kind"] for name in ("chat-fast", "chat-reasoning", "embed", "auto")} == {
        "chat-fast": "llm",
        "chat-reasoning": "llm",
        "embed": "embedding",
        "auto": "graph",
    }
    assert "complexity" not in rows, "a step is no model"
