"""References by name in fields of their own."""

from collections.abc import Iterator, Mapping
from typing import Any

from switchyard.local.plan.fields import read
from switchyard.local.plan.references.objects import CLUSTER_WIDE, TRANSFORMED, Dangling, Objects, namespace_of, where

_CONTAINER = {
    "envFrom[].configMapRef.name": "ConfigMap",
    "envFrom[].secretRef.name": "Secret",
    "env[].valueFrom.configMapKeyRef.name": "ConfigMap",
    "env[].valueFrom.secretKeyRef.name": "Secret",
}


def _below(path: str, table: Mapping[str, str]) -> dict[str, str]:
    return {f"{path}.{field}": kind for field, kind in table.items()}


_POD = {
    **_below("containers[]", _CONTAINER),
    **_below("initContainers[]", _CONTAINER),
    "volumes[].configMap.name": "ConfigMap",
    "volumes[].secret.secretName": "Secret",
    "volumes[].persistentVolumeClaim.claimName": "PersistentVolumeClaim",
    "serviceAccountName": "ServiceAccount",
    "imagePullSecrets[].name": "Secret",
    "priorityClassName": "PriorityClass",
    "runtimeClassName": "RuntimeClass",
}
_ROUTE = {"spec.parentRefs[].name": "Gateway", "spec.rules[].backendRefs[].name": "Service"}
_BINDING = {"roleRef.name": "Role", "subjects[].name": "ServiceAccount"}

# The fields of each kind that name an object, and its kind where the reference does not say it itself.
_FIELDS: Mapping[str, Mapping[str, str]] = {
    "Deployment": _below("spec.template.spec", _POD),
    "StatefulSet": {**_below("spec.template.spec", _POD), "spec.serviceName": "Service"},
    "ServingRuntime": _below("spec", _POD),
    "ClusterServingRuntime": _below("spec", _POD),
    "InferenceService": {
        **_below("spec.predictor", _POD),
        **_below("spec.predictor.model", _CONTAINER),
        **_below("spec.transformer", _POD),
        "spec.predictor.model.runtime": "ClusterServingRuntime",
    },
    "InferenceGraph": {
        "spec.serviceAccountName": "ServiceAccount",
        "spec.nodes.*.steps[].serviceName": "InferenceService",
    },
    "HorizontalPodAutoscaler": {"spec.scaleTargetRef.name": "Deployment"},
    "RoleBinding": _BINDING,
    "ClusterRoleBinding": _BINDING,
    "Ingress": {
        "spec.defaultBackend.service.name": "Service",
        "spec.rules[].http.paths[].backend.service.name": "Service",
    },
    "HTTPRoute": _ROUTE,
    "GRPCRoute": _ROUTE,
    "LocalModelCache": {"spec.nodeGroups[]": "LocalModelNodeGroup"},
    "GrafanaDashboard": {"spec.configMapRef.name": "ConfigMap"},
}
_INSTEAD = {"ClusterServingRuntime": ("ServingRuntime",)}
# Others make these: people, secret operators, device plugins. One that the overlay has under another name is dangling.
_MADE_ELSEWHERE = frozenset(("Secret", "RuntimeClass"))
_OF_KUBERNETES = frozenset((("ServiceAccount", "default"), ("Role", "view"), ("ClusterRole", "view")))


def dangling(objects: Objects) -> Iterator[Dangling]:
    """Yield each field that names an object that is not there."""
    for document in objects.documents:
        kind, namespace = document["kind"], namespace_of(document)
        if kind in CLUSTER_WIDE and namespace:
            yield Dangling(
                f"{where(document)}: metadata.namespace is {namespace}; the kind is cluster-wide", TRANSFORMED
            )
        for path, target in _FIELDS.get(kind, {}).items():
            for parent, name in _found(document, read(path)):
                own = str(parent.get("kind", target))
                if fault := _fault(objects, own, parent.get("namespace") or namespace, parent, name):
                    yield objects.missing(f"{where(document)}: {path} names {own} {name}, {fault}", (own,), name)


def _found(value: Any, path: tuple[str, ...]) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Yield each name at ``path``, and the object that holds it."""
    first, *rest = path
    if not rest and isinstance(value, Mapping):
        if value.get(first):
            yield value, value[first]
    elif rest == ["[]"]:
        yield from ((value, item) for item in value.get(first) or ())
    elif isinstance(value, list):
        for item in value:
            yield from _found(item, tuple(rest))
    elif isinstance(value, Mapping):
        for item in value.values() if first == "*" else (value.get(first),):
            yield from _found(item, tuple(rest))


def _fault(objects: Objects, kind: str, namespace: str, parent: Mapping[str, Any], name: str) -> str:
    similar = objects.similar(kind, name)
    # What is in a namespace that the overlay has nothing in is somebody else's to have.
    others = bool(parent.get("namespace")) and namespace not in objects.namespaces
    elsewhere = (others or kind in _MADE_ELSEWHERE) and not similar
    if elsewhere or parent.get("optional") or (kind, name) in _OF_KUBERNETES or name.startswith("system-"):
        return ""
    # A cluster-wide document's pods are in the namespaces of those who use it.
    if any(objects.has(one, namespace or None, name) for one in (kind, *_INSTEAD.get(kind, ()))):
        return ""
    return "which the overlay has in another namespace" if similar == name else "which the overlay does not have"
