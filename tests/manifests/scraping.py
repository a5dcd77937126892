"""What Prometheus would read of a pod by rendered PodMonitors, as prometheus-operator and Prometheus make it of them.

Only what ours use: ports by name or number, and relabelings that replace and keep. tests/cluster asks the real ones.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from switchyard.local.plan.references.selectors import selects
from tests.manifests.documents import Document
from tests.manifests.pods import Pod

ADDRESS = "203.0.113.9"
# What Knative adds to its pods, and calls the container's own port (pkg/reconciler/revision/resources/queue.go).
_QUEUE_PROXY = {"http-autometric": 9090, "http-usermetric": 9091, "http-queueadm": 8022, "queue-port": 8012}
_USER_PORT = "user-port"


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """An address that is read, and the labels that its metrics get."""

    port: int
    scheme: str
    labels: Mapping[str, str]


def targets(pod: Pod, monitors: list[Document]) -> Iterator[Target]:
    """Every target that ``monitors`` make of a pod of their namespace."""
    for monitor in monitors:
        if selects(monitor["spec"]["selector"], pod.labels):
            for endpoint in monitor["spec"]["podMetricsEndpoints"]:
                for name, port in ports(pod):
                    if endpoint.get("port") == name or endpoint.get("portNumber") == port:
                        yield from _relabeled(endpoint, pod, port)


def ports(pod: Pod) -> Iterator[tuple[str, int]]:
    """The named ports of a pod's containers; of Knative's pods, those of its proxy too."""
    own = [port for container in pod.spec["containers"] for port in container.get("ports", ())]
    if not pod.knative:
        yield from ((port["name"], port["containerPort"]) for port in own)
        return
    yield _USER_PORT, own[0]["containerPort"] if own else 8080
    yield from _QUEUE_PROXY.items()


def _relabeled(endpoint: Mapping[str, Any], pod: Pod, port: int) -> Iterator[Target]:
    labels = {
        f"__meta_kubernetes_pod_label_{re.sub(r'[^a-zA-Z0-9_]', '_', key)}": pod.labels[key] for key in pod.labels
    }
    labels |= {"__meta_kubernetes_pod_ip": ADDRESS, "__address__": f"{ADDRESS}:{port}"}
    for rule in endpoint.get("relabelings", ()):
        value = ";".join(labels.get(name, "") for name in rule.get("sourceLabels", ()))
        found = re.fullmatch(rule.get("regex", "(.*)"), value)
        if rule.get("action", "replace") == "keep":
            if not found:
                return
        elif found:
            labels[rule["targetLabel"]] = found.expand(re.sub(r"\$(\d)", r"\\g<\1>", rule.get("replacement", "$1")))
    kept = {name: value for name, value in labels.items() if value and not name.startswith("__")}
    host, _, chosen = labels["__address__"].partition(":")
    assert host == ADDRESS
    yield Target(port=int(chosen), scheme=endpoint.get("scheme", "http"), labels=kept)
