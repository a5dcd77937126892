"""References by label: what selects pods selects some."""

from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.local.plan.references.objects import Dangling, Document, Objects, namespace_of, where

_REVISION = "serving.knative.dev/revision"
_OF_OTHERS = "switchyard.dev/client"  # worn by programs that use models and are not part of the overlay


def dangling(objects: Objects) -> Iterator[Dangling]:
    """Yield each selector that selects no pod of its namespace."""
    pods = [(namespace_of(document), labels) for document in objects.documents if (labels := labels_of(document))]
    for document in objects.documents:
        for path, selector in _selectors(document):
            keys = [*selector.get("matchLabels", {}), *(one["key"] for one in selector.get("matchExpressions", ()))]
            if _OF_OTHERS not in keys and not any(
                namespace == namespace_of(document) and selects(selector, labels) for namespace, labels in pods
            ):
                yield Dangling(f"{where(document)}: {path} selects no pod of the overlay")


def labels_of(document: Document) -> Mapping[str, str]:
    """Return the labels of a workload's pods, as its controller makes them; empty for what has no pods."""
    metadata, spec = document["metadata"], document.get("spec") or {}
    name, kind = metadata["name"], document["kind"]
    if kind in ("Deployment", "StatefulSet"):
        return dict(spec["template"]["metadata"].get("labels") or {})
    own = metadata.get("labels") or {}
    if kind == "InferenceService":
        label, workload = "serving.kserve.io/inferenceservice", f"{name}-predictor"
        return {**own, **(spec["predictor"].get("labels") or {}), label: name, _REVISION: f"{workload}-00001"}
    if kind == "InferenceGraph":
        return {**own, "serving.kserve.io/inferencegraph": name, _REVISION: f"{name}-00001"}
    return {}


def _selectors(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    spec = document.get("spec") or {}
    match document["kind"]:
        case "Service":
            if spec.get("selector"):
                yield "spec.selector", {"matchLabels": spec["selector"]}
        case "PodDisruptionBudget" | "Deployment" | "StatefulSet":
            yield "spec.selector", spec.get("selector") or {}
        case "NetworkPolicy":
            yield "spec.podSelector", spec["podSelector"]
            for way, peers in (("ingress", "from"), ("egress", "to")):
                for rule in spec.get(way) or ():
                    for peer in rule.get(peers) or ():
                        if "podSelector" in peer and "namespaceSelector" not in peer:
                            yield f"spec.{way}[].{peers}[].podSelector", peer["podSelector"]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Return whether a label selector of Kubernetes matches ``labels``."""
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        _holds(one, labels) for one in selector.get("matchExpressions", ())
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values", ())
    outcomes = {
        "In": labels.get(key) in values,
        "NotIn": labels.get(key) not in values,
        "Exists": key in labels,
        "DoesNotExist": key not in labels,
    }
    return outcomes[expression["operator"]]
