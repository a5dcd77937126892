"""What pods ask of a namespace's quota, counted as Kubernetes does."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import yaml

from switchyard.local.plan.containers import Index, predictor_containers
from tests.manifests.documents import PLATFORM, Document, containers, of_kind

_UNITS = {"m": 1, "": 1000, "Ki": 1000 * 2**10, "Mi": 1000 * 2**20, "Gi": 1000 * 2**30}
# Knative 1.21's sidecar (config-deployment) asks for CPU only, and KServe 0.20's storage initializer for this
# (inferenceservice-config); the rest of both is the namespace's LimitRange.
_QUEUE_PROXY = {"requests": {"cpu": "25m"}}
_STORAGE_INITIALIZER = {
    "requests": {"cpu": "100m", "memory": "100Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}


def quantity(text: object) -> int:
    """A quantity of Kubernetes in thousandths of its base unit."""
    number = str(text).rstrip("mKMGi")
    return int(Decimal(number) * _UNITS[str(text)[len(number) :]])


def pods_of(documents: list[Document]) -> Iterator[tuple[str, int, int, Counter[str]]]:
    """Each workload with its least and most pods, and what one of them counts for under the keys of a quota."""
    (limits,) = of_kind(documents, "LimitRange")["container-defaults"]["spec"]["limits"][:1]
    index = Index(documents)
    for name, service in of_kind(documents, "InferenceService").items():
        predictor = service["spec"]["predictor"]
        own = [container.get("resources", {}) for container in predictor_containers(service, index)]
        downloads = predictor["model"]["storageUri"].startswith("hf://")
        starting = [_STORAGE_INITIALIZER] if downloads else []
        yield name, predictor["minReplicas"], predictor["maxReplicas"], _pod([*own, _QUEUE_PROXY], starting, limits)
    router = _router()
    for name, graph in of_kind(documents, "InferenceGraph").items():
        yield name, graph["spec"]["minReplicas"], graph["spec"]["maxReplicas"], _pod([router, _QUEUE_PROXY], [], limits)
    scaled = {
        item["spec"]["scaleTargetRef"]["name"]: item["spec"]
        for item in of_kind(documents, "HorizontalPodAutoscaler").values()
    }
    for kind in ("Deployment", "StatefulSet"):
        for name, document in of_kind(documents, kind).items():
            least = scaled[name]["minReplicas"] if name in scaled else document["spec"]["replicas"]
            most = scaled[name]["maxReplicas"] if name in scaled else least
            yield name, least, most, _pod([one["resources"] for one in containers(document)], [], limits)


def _router() -> Mapping[str, Any]:
    settings = yaml.safe_load((PLATFORM / "kserve/inferenceservice-config.yaml").read_text())["data"]
    router = json.loads(settings["router"])
    sides = {"requests": "Request", "limits": "Limit"}
    return {side: {name: router[f"{name}{end}"] for name in ("cpu", "memory")} for side, end in sides.items()}


def _pod(
    running: Iterable[Mapping[str, Any]], starting: Iterable[Mapping[str, Any]], limits: Mapping[str, Any]
) -> Counter[str]:
    """What a pod counts for: its containers together, or what one of those before them needs if that is more."""
    total: Counter[str] = sum((_container(one, limits) for one in running), Counter())
    for one in starting:
        total |= _container(one, limits)
    return total + Counter({"pods": quantity(1)})


def _container(resources: Mapping[str, Any], limits: Mapping[str, Any]) -> Counter[str]:
    limit = {**limits["default"], **resources.get("limits", {})}
    # Without a request of its own a container asks for its own limit, and without that for the default.
    asked = {**limits["defaultRequest"], **resources.get("limits", {}), **resources.get("requests", {})}
    counted = {**{f"requests.{name}": value for name, value in asked.items()}, "limits.memory": limit["memory"]}
    return Counter({name: quantity(value) for name, value in counted.items()})


def times(amounts: Counter[str], count: int) -> Counter[str]:
    return Counter({name: value * count for name, value in amounts.items()})


def storage(documents: list[Document]) -> list[int]:
    """What each volume claim of the namespace asks for, those that controllers make included.

    KServe makes a claim of a node group's size for each cached model in each namespace that serves it
    (pkg/controller/v1alpha1/localmodel/reconcilers/utils.go).
    """
    claims = [claim["spec"] for claim in of_kind(documents, "PersistentVolumeClaim").values()]
    for one in of_kind(documents, "StatefulSet").values():
        claims += [item["spec"] for item in one["spec"].get("volumeClaimTemplates", ())] * one["spec"]["replicas"]
    groups = of_kind(documents, "LocalModelNodeGroup")
    for cache in of_kind(documents, "LocalModelCache").values():
        claims += [groups[name]["spec"]["persistentVolumeClaimSpec"] for name in cache["spec"]["nodeGroups"]]
    return [quantity(claim["resources"]["requests"]["storage"]) for claim in claims]
