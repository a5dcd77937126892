"""The pods that rendered documents come to, as the controllers of Kubernetes, KServe and Knative make them.

Only what the rules of this folder look at: labels, containers and the fields of a pod that Knative allows or rejects.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml

from tests.manifests.documents import PLATFORM, Document, of_kind

# Schemes that KServe downloads from, in an init container of the model's pod; the others are mounted.
DOWNLOADED = ("gs://", "hdfs://", "hf://", "http://", "https://", "s3://")
_FROM_RUNTIME = ("affinity", "imagePullSecrets", "nodeSelector", "schedulerName", "tolerations", "volumes")
_NOT_OF_A_POD = {
    "annotations",
    "containerConcurrency",
    "labels",
    "maxReplicas",
    "minReplicas",
    "model",
    "scaleMetric",
    "scaleTarget",
    "timeout",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod's name for messages, its labels, annotations and spec; ``knative`` says who makes it."""

    name: str
    labels: Mapping[str, str]
    spec: Mapping[str, Any]
    knative: bool
    annotations: Mapping[str, str] = field(default_factory=dict)


def pods(documents: list[Document]) -> Iterator[Pod]:
    """One pod of each workload."""
    for kind in ("Deployment", "StatefulSet"):
        for name, document in of_kind(documents, kind).items():
            template = document["spec"]["template"]
            metadata = template["metadata"]
            notes = metadata.get("annotations", {})
            yield Pod(name=name, labels=metadata["labels"], spec=template["spec"], knative=False, annotations=notes)
    runtimes = of_kind(documents, "ClusterServingRuntime")
    for name, service in of_kind(documents, "InferenceService").items():
        runtime = runtimes[service["spec"]["predictor"]["model"]["runtime"]]
        own = {"serving.kserve.io/inferenceservice": name, **_of_knative(f"{name}-predictor")}
        labels = {**service["metadata"]["labels"], **own}
        # KServe's buildObjectMeta (predictor.go): the runtime's, the service's, the predictor's.
        notes = {**runtime["spec"].get("annotations", {}), **service["metadata"]["annotations"]}
        notes |= service["spec"]["predictor"].get("annotations", {})
        spec = _of_service(service, runtime["spec"])
        yield Pod(name=name, labels=labels, spec=spec, knative=True, annotations=notes)
    for name, graph in of_kind(documents, "InferenceGraph").items():
        own = {"serving.kserve.io/inferencegraph": name, **_of_knative(name)}
        labels = {**graph["metadata"]["labels"], **own}
        notes = graph["metadata"]["annotations"]
        yield Pod(name=name, labels=labels, spec=_of_graph(graph), knative=True, annotations=notes)


def _of_knative(service: str) -> dict[str, str]:
    """The labels of the first revision's pods."""
    names = {"service": service, "configuration": service, "revision": f"{service}-00001"}
    return {f"serving.knative.dev/{kind}": name for kind, name in names.items()}


def _of_service(service: Document, runtime: Mapping[str, Any]) -> dict[str, Any]:
    """KServe's merge: the runtime's pod, the service's fields over it, and what its webhook adds."""
    predictor = service["spec"]["predictor"]
    spec = {field: runtime[field] for field in _FROM_RUNTIME if field in runtime}
    spec |= {field: value for field, value in predictor.items() if field not in _NOT_OF_A_POD}
    extra = {container["name"]: container for container in predictor.get("containers", ())}
    spec["containers"] = [{**container, **extra.get(container["name"], {})} for container in runtime["containers"]]
    if predictor["model"]["storageUri"].startswith(DOWNLOADED):
        spec["initContainers"] = [storage_initializer()]
    return spec


def storage_initializer() -> dict[str, Any]:
    """What downloads a model: KServe's container with our settings over it, of which its own has none."""
    patch = yaml.safe_load((PLATFORM / "kserve/storage-initializer.yaml").read_text())
    return {"name": "storage-initializer", **patch["spec"]["container"]}


def _of_graph(graph: Document) -> dict[str, Any]:
    """KServe 0.20's router: it asks for all that is restricted but a seccomp profile, which Knative adds if told to."""
    container: dict[str, Any] = {
        "name": "user-container",
        "securityContext": {
            "privileged": False,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    named = {"serviceAccountName", "affinity", "tolerations", "nodeSelector", "nodeName"} & graph["spec"].keys()
    if features().get("secure-pod-defaults") == "enabled":
        container["securityContext"]["seccompProfile"] = {"type": "RuntimeDefault"}
    return {"containers": [container], **{field: graph["spec"][field] for field in named}}


@cache
def features() -> dict[str, str]:
    """Knative's features as ``make install-platform`` sets them."""
    found: dict[str, str] = yaml.safe_load((PLATFORM / "knative/features.yaml").read_text())["data"]
    return found
