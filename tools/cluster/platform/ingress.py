"""Knative's networking layer: the program in ./ingress in Kourier's place, as no Envoy can be built from Go modules."""

from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.layout import INGRESS_ADDRESS, MANIFESTS
from tools.cluster.software import images, programs

_NAMESPACE = "kourier-system"


def up() -> None:
    """Run the ingress in a pod."""
    images.add_program(programs.INGRESS)
    documents = kubectl.read(MANIFESTS / "ingress.yaml")
    for document in documents:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = images.name(programs.INGRESS)
        elif document["kind"] == "Service" and "clusterIP" in document["spec"]:
            document["spec"]["clusterIP"] = INGRESS_ADDRESS
    kubectl.apply(documents)


def wait() -> None:
    """Wait until the ingress has read its rules."""
    kubectl.rolled_out(_NAMESPACE, "ingress")
