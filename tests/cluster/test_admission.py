"""What the API server, Knative's and KServe's webhooks and Pod Security accept of us, and what they reject."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.client import Cluster
from tools.cluster.kubernetes import kubectl
from tools.cluster.kubernetes.kubectl import Document
from tools.cluster.machine.layout import REPOSITORY
from tools.cluster.machine.shell import ClusterError, run

pytestmark = pytest.mark.cluster

# Kinds whose definitions the test cluster does not have: see docs/how-to/run-a-cluster.md.
_NOT_INSTALLED = ("gateway.networking.k8s.io", "keda.sh")
Change = Callable[[Document], object]


def rendered(overlay: str) -> list[Document]:
    return kubectl.parse(run("kubectl", "kustomize", REPOSITORY / "kustomize" / "overlays" / overlay))


def dry_run(documents: list[Document]) -> str:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": documents})
    arguments = ("apply", "--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict")
    return kubectl.kubectl(*arguments, "-f", "-", text=text)


@pytest.mark.parametrize("overlay", ["dev", "staging", "prod"])
def test_every_document_of_an_overlay_is_accepted(cluster: Cluster, overlay: str) -> None:
    documents = [one for one in rendered(overlay) if not one["apiVersion"].startswith(_NOT_INSTALLED)]
    namespaces = [one for one in documents if one["kind"] == "Namespace"]
    before = {one["metadata"]["name"] for one in kubectl.get("namespaces")["items"]}
    kubectl.apply([one for one in namespaces if one["metadata"]["name"] not in before])
    try:
        told = dry_run(documents)
        assert len(told.splitlines()) == len(documents)
    finally:
        for one in namespaces:
            if one["metadata"]["name"] not in before:
                kubectl.kubectl("delete", "namespace", one["metadata"]["name"], "--wait=false")


def of(kind: str, name: str) -> Document:
    return next(one for one in rendered("dev") if one["kind"] == kind and one["metadata"]["name"] == name)


def put(*path: str | int, value: Any) -> Change:
    def change(document: Document) -> None:
        place: Any = document
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


def doubled_step(graph: Document) -> None:
    steps = graph["spec"]["nodes"]["root"]["steps"]
    steps.append(copy.deepcopy(steps[0]))


_PREDICTOR = ("spec", "predictor")
_ROOT_STEP = ("spec", "nodes", "root", "steps", 0)
BROKEN = [
    pytest.param("InferenceService", put("metadata", "name", value="Chat.Fast"), "lower case", id="name"),
    pytest.param("InferenceService", put(*_PREDICTOR, "minReplicas", value=9), "MinReplicas", id="more-min-than-max"),
    pytest.param("InferenceService", put(*_PREDICTOR, "timout", value=9), "unknown field", id="misspelled-field"),
    pytest.param("InferenceService", put(*_PREDICTOR, "scaleMetric", value="tokens"), "scaleMetric", id="scale-metric"),
    pytest.param(
        "InferenceService",
        put(*_PREDICTOR, "model", "env", value=[{"name": "PYTHONPATH", "value": "/x"}]),
        "PYTHONPATH",
        id="pythonpath",
    ),
    pytest.param("InferenceService", put(*_PREDICTOR, "maxReplicas", value=-1), "MaxReplicas", id="negative-replicas"),
    pytest.param(
        "InferenceGraph",
        lambda one: one["spec"]["nodes"].update(start=one["spec"]["nodes"].pop("root")),
        "root",
        id="root",
    ),
    pytest.param("InferenceGraph", doubled_step, "more than one step with name", id="step-names"),
    pytest.param("InferenceGraph", put(*_ROOT_STEP, "nodeName", value="tier"), "nodeName", id="two-targets"),
    pytest.param(
        "InferenceGraph", put("spec", "nodes", "root", "routerType", value="Loop"), "routerType", id="router-type"
    ),
]


@pytest.mark.parametrize(("kind", "change", "words"), BROKEN)
def test_a_broken_document_is_rejected_with_words_that_help(
    cluster: Cluster, scratch: str, kind: str, change: Change, words: str
) -> None:
    document = of(kind, "chat-fast" if kind == "InferenceService" else "auto")
    document["metadata"]["namespace"] = scratch
    dry_run([document])
    change(document)
    with pytest.raises(ClusterError, match=words):
        dry_run([document])


def test_the_namespace_rejects_a_pod_that_could_harm_its_node(cluster: Cluster) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "privileged", "namespace": "switchyard-dev"},
        "spec": {"containers": [{"name": "it", "image": "dev.local/x:1", "securityContext": {"privileged": True}}]},
    }
    with pytest.raises(ClusterError, match="violates PodSecurity"):
        dry_run([pod])
