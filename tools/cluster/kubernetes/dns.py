"""CoreDNS, so that pods find Services by name."""

from tools.cluster.kubernetes import kubectl
from tools.cluster.machine.layout import DNS_ADDRESS, MANIFESTS
from tools.cluster.software import images, programs


def up() -> None:
    """Run CoreDNS in a pod; returns when it responds."""
    images.add_program(programs.COREDNS)
    documents = kubectl.read(MANIFESTS / "coredns.yaml")
    for document in documents:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = images.name(programs.COREDNS)
        elif document["kind"] == "Service":
            document["spec"]["clusterIP"] = DNS_ADDRESS
    kubectl.apply(documents)
    kubectl.rolled_out("kube-system", "coredns")
