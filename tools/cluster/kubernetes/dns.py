"""CoreDNS, so that pods find Services by name."""

from tests.cluster import images, kubectl, programs
from tests.cluster.layout import DNS_ADDRESS, HERE


def up() -> None:
    """Run CoreDNS in a pod; returns when it answers."""
    images.add_program(programs.COREDNS)
    documents = kubectl.read(HERE / "manifests" / "coredns.yaml")
    for document in documents:
        if document["kind"] == "Deployment":
            document["spec"]["template"]["spec"]["containers"][0]["image"] = images.name(programs.COREDNS)
        elif document["kind"] == "Service":
            document["spec"]["clusterIP"] = DNS_ADDRESS
    kubectl.apply(documents)
    kubectl.rolled_out("kube-system", "coredns")
