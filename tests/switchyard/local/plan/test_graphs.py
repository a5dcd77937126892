import json
from pathlib import Path
from typing import Any

import pytest

from switchyard.local.errors import LocalError
from switchyard.local.plan import arguments
from switchyard.local.plan.graphs import cluster_hosts
from switchyard.local.plan.plan import plan
from switchyard.local.plan.workloads import Options, Service
from tests.switchyard.local.overlays import Stub, runtime

ROOT = Path("/project")
OPTIONS = Options(root=ROOT, state=ROOT / ".switchyard", claims={"model-repository": ROOT / "model-repository"})
SETTINGS = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "stub-settings", "namespace": "lab"}}


def graph(steps: list[dict[str, Any]], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "InferenceGraph",
        "metadata": {"name": "auto", "namespace": "lab", "labels": {"switchyard.dev/kind": "graph"}},
        "spec": {"nodes": {"root": {"routerType": "Sequence", "steps": steps}}, **spec},
    }


def planned(document: dict[str, Any], **model: Any) -> Service:
    chat = Stub(name="chat").document()
    chat["metadata"]["namespace"] = "lab"
    chat["spec"]["predictor"]["model"] |= model
    stub = runtime()
    stub["spec"] |= {"protocolVersions": ["grpc-v2", "v2"]}
    stub["spec"]["supportedModelFormats"] = [{"name": "stub", "autoSelect": True}]
    return plan([stub, SETTINGS, chat, document], OPTIONS).services[1]


def steps_of(service: Service) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(service.command.argv[-1])["nodes"]["root"]["steps"]
    return found


def test_a_graph_is_a_router_with_the_graph_as_kserve_hands_it_over() -> None:
    found = planned(graph([{"serviceUrl": "http://chat-predictor.lab.svc.cluster.local"}], timeout=90))
    assert found.command.argv[1:4] == ("-m", "switchyard.router", "--graph-json")
    assert found.command.port_variables == {"PORT": 8080, "METRICS_PORT": 9464}
    assert found.command.env == {"DRAIN_SECONDS": "0", "K_SERVICE": "auto"}
    assert (found.command.readiness, found.command.grace, found.scale.timeout) == ("/readyz", 90.0, 90.0)
    assert (found.model.name, found.model.kind, found.scale.minimum) == ("auto", "graph", 1)


def test_a_graph_without_min_replicas_zero_never_sleeps() -> None:
    step = {"serviceUrl": "http://elsewhere.example"}
    assert planned(graph([step])).scale.minimum == 1
    assert planned(graph([step], minReplicas=0)).scale.minimum == 0


@pytest.mark.parametrize(
    ("model", "path"),
    [({}, "/v2/models/chat/infer"), ({"runtime": None, "protocolVersion": "v1"}, "/v1/models/chat:predict")],
)
def test_a_step_that_names_a_service_gets_its_url_as_the_controller_makes_it(model: dict[str, Any], path: str) -> None:
    (step,) = steps_of(planned(graph([{"serviceName": "chat"}]), **model))
    assert step == {"serviceName": "chat", "serviceUrl": f"http://chat.lab.svc.cluster.local{path}"}


@pytest.mark.parametrize(
    ("step", "fault"),
    [
        ({"serviceName": "chatt"}, "chatt"),
        ({"serviceUrl": "http://chatt-predictor.lab.svc.cluster.local/v1"}, "chatt-predictor"),
        ({"serviceUrl": "http://chatt-predictor.lab"}, "chatt-predictor"),
        ({"serviceUrl": "http://chat-predictor.NAMESPACE.svc.cluster.local"}, "no namespace is called NAMESPACE"),
        ({"serviceUrl": "http://chat-predictor.dev.svc.cluster.local"}, "not in namespace dev here"),
        ({"serviceUrl": "http://chat-predictor.lab.svc.cluster.local:8080"}, "ports are 80"),
        ({"serviceUrl": "http://chat-predictor.lab.svc.cluster.local/v2/models/chatt/infer"}, "serves chat"),
        ({"serviceUrl": "http://chat-predictor.lab.svc.cluster.local/read?model=chatt"}, "no model chatt"),
    ],
)
def test_a_step_that_calls_what_is_not_there_is_named(step: dict[str, Any], fault: str) -> None:
    with pytest.raises(LocalError, match=rf"InferenceGraph auto.*root.*{fault}"):
        planned(graph([step]))


@pytest.mark.parametrize(
    "url",
    [
        "http://guard-predictor.other-team.svc.cluster.local/v1/models/guard:predict",
        "https://api.example.com/v1/models/x",
        "http://[::1]:9000/x",
        "http://127.0.0.1:9000",
        "http://localhost:1",
    ],
)
def test_a_step_may_call_what_is_not_of_this_overlay(url: str) -> None:
    assert steps_of(planned(graph([{"serviceUrl": url}]))) == [{"serviceUrl": url}]


@pytest.mark.parametrize("host", list(cluster_hosts("chat", "lab")))
def test_a_clusters_names_become_addresses_of_this_machine(host: str) -> None:
    hosts = dict.fromkeys(cluster_hosts("chat", "lab"), "127.0.0.1:4000")
    assert arguments.rehost(f'{{"u":"http://{host}/openai?x=http://other.lab"}}', hosts) == (
        '{"u":"http://127.0.0.1:4000/openai?x=http://other.lab"}'
    )
    assert arguments.rehost(f"--url=http://{host}:80", hosts) == "--url=http://127.0.0.1:4000"
    assert (
        arguments.rehost(f"http://{host}.example http://{host}:9000", hosts)
        == f"http://{host}.example http://{host}:9000"
    )
