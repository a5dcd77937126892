"""metrics-server, without which HorizontalPodAutoscalers act on nothing; only tests of those need its 60 MB."""

import json

from tests.cluster import images, kubectl, programs
from tests.cluster.kubectl import Document
from tests.cluster.layout import HERE

_SERVICE = "apiservice/v1beta1.metrics.k8s.io"
_SECONDS = 90


def up() -> None:
    """Run metrics-server in a pod; returns when it has asked the kubelet twice, 10 s apart, and answers."""
    images.add_program(programs.METRICS_SERVER)
    kubectl.apply(_documents())
    kubectl.rolled_out("kube-system", "metrics-server", seconds=_SECONDS)
    kubectl.kubectl("wait", "--for=condition=Available", _SERVICE, f"--timeout={_SECONDS}s")


def down() -> None:
    """End it and leave nothing that asks for it."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": _documents()})
    kubectl.kubectl("delete", "--wait=false", "-f", "-", text=text)


def _documents() -> list[Document]:
    documents = kubectl.read(HERE / "manifests" / "metrics-server.yaml")
    for document in documents:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = images.name(programs.METRICS_SERVER)
    return documents
