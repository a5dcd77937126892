"""metrics-server, without which HorizontalPodAutoscalers act on nothing; only tests of those need its 60 MB."""

import json

from tools.cluster.kubernetes import kubectl
from tools.cluster.kubernetes.kubectl import Document
from tools.cluster.machine.layout import MANIFESTS
from tools.cluster.software import images, programs

_SERVICE = "apiservice/v1beta1.metrics.k8s.io"
_SECONDS = 90


def up() -> None:
    """Run metrics-server in a pod; returns when it has scraped the kubelet twice, 10 s apart, and responds."""
    images.add_program(programs.METRICS_SERVER)
    kubectl.apply(_documents())
    kubectl.rolled_out("kube-system", "metrics-server", seconds=_SECONDS)
    kubectl.kubectl("wait", "--for=condition=Available", _SERVICE, f"--timeout={_SECONDS}s")


def down() -> None:
    """End it and leave nothing that asks for it."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": _documents()})
    kubectl.kubectl("delete", "--wait=false", "-f", "-", text=text)


def _documents() -> list[Document]:
    documents = kubectl.read(MANIFESTS / "metrics-server.yaml")
    for document in documents:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = images.name(programs.METRICS_SERVER)
    return documents
