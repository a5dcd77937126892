"""Knative is told to allow the pod fields that overlays use, by what `make install-platform` sends, and no others.

The list is that of ``PodSpecMask`` and ``VolumeMask`` in Knative Serving 1.21 (pkg/apis/serving/fieldmask.go).
"""

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.manifests.documents import CLUSTERS, Rendered
from tests.manifests.pods import Pod, features, pods

ALLOWED = {"containers", "enableServiceLinks", "imagePullSecrets", "serviceAccountName", "volumes"}
ADDED_LATER = {"initContainers"}  # KServe's webhook adds the storage initializer to the pod, past Knative
BY_FEATURE = {
    field: f"kubernetes.podspec-{field.lower()}"
    for field in (
        "affinity",
        "dnsConfig",
        "dnsPolicy",
        "hostAliases",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "nodeSelector",
        "priorityClassName",
        "runtimeClassName",
        "schedulerName",
        "securityContext",
        "shareProcessNamespace",
        "tolerations",
        "topologySpreadConstraints",
    )
}
VOLUMES = {"configMap", "emptyDir", "projected", "secret"}
VOLUMES_BY_FEATURE = {
    "csi": "kubernetes.podspec-volumes-csi",
    "hostPath": "kubernetes.podspec-volumes-hostpath",
    "image": "kubernetes.podspec-volumes-image",
    "persistentVolumeClaim": "kubernetes.podspec-persistent-volume-claim",
}


def needed(pod: Pod) -> Iterator[str]:
    """The features that a pod of Knative needs.

    Raises:
        LookupError: Knative rejects a field whatever it is told.
    """
    for field in pod.spec.keys() - ALLOWED - ADDED_LATER:
        if field == "automountServiceAccountToken" and pod.spec[field] is False:
            continue
        yield BY_FEATURE[field]
    for volume in pod.spec.get("volumes", ()):
        for kind in volume.keys() - {"name"} - VOLUMES:
            yield VOLUMES_BY_FEATURE[kind]
    for container in pod.spec["containers"]:
        if any("fieldRef" in item.get("valueFrom", {}) for item in container.get("env", ())):
            yield "kubernetes.podspec-fieldref"


def of_overlays(rendered: Rendered) -> set[str]:
    return {feature for name in CLUSTERS for pod in pods(rendered[name]) if pod.knative for feature in needed(pod)}


def test_every_field_in_use_is_allowed_and_nothing_else(rendered: Rendered) -> None:
    enabled = {name for name, value in features().items() if value == "enabled"}

    assert enabled == of_overlays(rendered) | {"secure-pod-defaults"}


@pytest.mark.parametrize(
    ("field", "value"), [("affinity", {}), ("volumes", [{"name": "x", "csi": {}}]), ("securityContext", {"fsGroup": 1})]
)
def test_a_field_that_is_not_allowed_is_found(rendered: Rendered, field: str, value: object) -> None:
    pod = next(pod for pod in pods(rendered["prod"]) if pod.name == "chat-fast")
    spec: Any = {**copy.deepcopy(dict(pod.spec)), field: value}

    assert not {*needed(Pod(name="x", labels={}, spec=spec, knative=True))} <= features().keys()


@pytest.mark.parametrize("field", ["terminationGracePeriodSeconds", "nodeName", "hostname"])
def test_a_field_that_knative_never_takes_is_found(field: str) -> None:
    with pytest.raises(LookupError):
        [*needed(Pod(name="x", labels={}, spec={"containers": [], field: 1}, knative=True))]
