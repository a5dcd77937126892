"""What watches the platform: kinds of prometheus-operator, and kustomize/platform/monitoring with its collectors."""

from tools.cluster.kubernetes import kubectl
from tools.cluster.kubernetes.kubectl import Document
from tools.cluster.machine.layout import PLATFORM, POD_LOGS, RUN
from tools.cluster.software import images, programs
from tools.observability.programs import COLLECTOR
from tools.programs import module_folder

_NAMESPACE = "monitoring"
_WORKLOADS = ("Deployment", "DaemonSet")
_FOLDERS = {"logs": str(POD_LOGS), "state": str(RUN / "log-agent")}


def up() -> None:
    """Install both; the operator itself is run by the tests that need it."""
    images.add_program(COLLECTOR)
    kubectl.apply_definitions(kubectl.read(module_folder(programs.MONITORING) / "example" / "prometheus-operator-crd"))
    documents = kubectl.kustomized("monitoring", [], PLATFORM / "monitoring")
    for document in documents:
        if document["kind"] in _WORKLOADS:
            _adapt(document["spec"]["template"]["spec"])
    kubectl.apply(sorted(documents, key=lambda document: document["kind"] != "Namespace"))


def wait() -> None:
    """Wait until the collector of traces and that of this node's logs are ready."""
    kubectl.rolled_out(_NAMESPACE, "collector")
    waiting = ("rollout", "status", "daemonset/log-agent", "--timeout=120s")
    kubectl.kubectl("--namespace", _NAMESPACE, *waiting)


def _adapt(pod: Document) -> None:
    """Put the collector that is built here into a pod, and the folders of this node."""
    (container,) = pod["containers"]
    container |= {"image": images.name(COLLECTOR), "command": [f"/{COLLECTOR.path.name}"]}
    container["readinessProbe"]["periodSeconds"] = 1
    for volume in pod["volumes"]:
        if "hostPath" in volume:
            volume["hostPath"]["path"] = _FOLDERS[volume["name"]]
