"""The pods of every overlay are accepted by Knative and by Pod Security, in a namespace guarded as theirs is.

This also holds tests/manifests/pods.py, from which the static rules take those pods, to what the real ones say.
"""

import json
import re
from collections.abc import Iterator

import pytest

from tests.cluster.client import Cluster
from tests.manifests.documents import CLUSTERS, Document, Rendered, render_all
from tests.manifests.pods import Pod, pods
from tools.cluster.kubernetes import kubectl

pytestmark = pytest.mark.cluster

NAMESPACE = "switchyard-test-pods"
GUARDS = ("LimitRange", "Namespace", "PriorityClass", "ResourceQuota", "ServiceAccount")


@pytest.fixture(scope="module")
def overlays() -> Rendered:
    return render_all()


@pytest.fixture(scope="module")
def guarded(overlays: Rendered) -> Iterator[None]:
    """A namespace with the labels, accounts, limits and quota of prod's, and its priorities."""
    accounts = [document for document in overlays["dev"] if document["kind"] == "ServiceAccount"]  # of dev's pods too
    guards = [moved(document) for document in overlays["prod"] if document["kind"] in GUARDS]
    guards += [moved(document) for document in accounts]
    kubectl.apply(guards)
    yield
    classes = [document["metadata"]["name"] for document in guards if document["kind"] == "PriorityClass"]
    kubectl.kubectl("delete", "priorityclass", *classes)
    kubectl.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def moved(document: Document) -> kubectl.Document:
    """A document of an overlay, in the namespace of these tests."""
    copied: kubectl.Document = json.loads(re.sub(r"switchyard-(prod|dev)\b", NAMESPACE, json.dumps(document)))
    return copied


def created(pod: Pod) -> str:
    """What the API server says to a pod, or to the Knative Service that makes it; raises what it rejects."""
    spec = json.loads(json.dumps(pod.spec))
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        container.setdefault("image", "dev.local/any:1")  # not pulled: nothing is made
    metadata = {"name": f"probe-{pod.name}", "namespace": NAMESPACE, "labels": dict(pod.labels)}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
    if pod.knative:
        spec.pop("initContainers", None)  # KServe's webhook adds them later
        template = {"spec": spec}
        labels = {"name": metadata["name"], "namespace": NAMESPACE}
        document = {
            "apiVersion": "serving.knative.dev/v1",
            "kind": "Service",
            "metadata": labels,
            "spec": {"template": template},
        }
    return kubectl.kubectl("create", "--dry-run=server", "-f", "-", text=json.dumps(document))


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_knative_takes_every_field_of_a_pod(cluster: Cluster, guarded: None, overlays: Rendered, overlay: str) -> None:
    for pod in pods(overlays[overlay]):
        if pod.knative:
            assert "created" in created(pod), pod.name


@pytest.mark.parametrize("overlay", CLUSTERS)
def test_pod_security_admits_every_pod(cluster: Cluster, guarded: None, overlays: Rendered, overlay: str) -> None:
    for pod in pods(overlays[overlay]):
        if pod.name == "redis":  # its volume is made by its StatefulSet; tests/cluster runs it
            continue
        plain = Pod(name=pod.name, labels=pod.labels, spec=pod.spec, knative=False)
        assert "created" in created(plain), pod.name
