"""Every pod fits Pod Security's restricted profile, which the clusters' namespaces enforce.

The rules are those of "Pod Security Standards" (kubernetes.io/docs/concepts/security), baseline and restricted.
"""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.manifests.documents import CLUSTERS, ENVIRONMENTS, Rendered, of_kind
from tests.manifests.pods import Pod, pods

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
SHARED_WITH_THE_NODE = ("hostIPC", "hostNetwork", "hostPID", "shareProcessNamespace")


def violations(pod: Pod) -> Iterator[str]:
    """What the restricted profile has against a pod."""
    spec, context = pod.spec, pod.spec.get("securityContext", {})
    yield from (field for field in SHARED_WITH_THE_NODE if spec.get(field))
    for volume in spec.get("volumes", ()):
        kinds = volume.keys() - {"name"}
        if not kinds <= VOLUMES:
            yield f"volume {volume['name']} is a {kinds}"
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        yield from (f"{container['name']}: {found}" for found in _of_container(container, context))


def _of_container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext", {})
    seccomp = own.get("seccompProfile", pod.get("seccompProfile", {})).get("type")
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("privileged"):
        yield "privileged"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add", []) not in (
        [],
        ["NET_BIND_SERVICE"],
    ):
        yield "capabilities"
    if not own.get("runAsNonRoot", pod.get("runAsNonRoot")):
        yield "runAsNonRoot"
    if own.get("runAsUser", pod.get("runAsUser", 1)) == 0:
        yield "runAsUser"
    if seccomp not in ("RuntimeDefault", "Localhost"):
        yield "seccompProfile"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield "hostPort"
    yield from (f"{field} is set" for field in ("procMount", "seLinuxOptions", "windowsOptions") if field in own)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_pod_fits_the_restricted_profile(rendered: Rendered, environment: str) -> None:
    found = {pod.name: [*violations(pod)] for pod in pods(rendered[environment])}

    assert {"gateway", "chat-fast", "vision", "complexity", "auto"} <= found.keys()
    assert {name: problems for name, problems in found.items() if problems} == {}


@pytest.mark.parametrize("environment", CLUSTERS)
def test_the_namespace_enforces_it(rendered: Rendered, environment: str) -> None:
    (namespace,) = of_kind(rendered[environment], "Namespace").values()
    labels = namespace["metadata"]["labels"]

    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}
    assert labels["pod-security.kubernetes.io/enforce-version"].startswith("v1.")


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (["hostNetwork"], True, "hostNetwork"),
        (["volumes"], [{"name": "node", "hostPath": {"path": "/"}}], "node"),
        (["containers", 0, "securityContext", "allowPrivilegeEscalation"], True, "allowPrivilegeEscalation"),
        (["containers", 0, "securityContext", "capabilities"], {"drop": ["ALL"], "add": ["SYS_ADMIN"]}, "capabilities"),
        (["containers", 0, "securityContext", "seccompProfile"], {"type": "Unconfined"}, "seccompProfile"),
        (["containers", 0, "securityContext", "runAsNonRoot"], False, "runAsNonRoot"),
        (["containers", 0, "securityContext", "runAsUser"], 0, "runAsUser"),
        (["containers", 0, "ports"], [{"hostPort": 80}], "hostPort"),
        (["initContainers"], [{"name": "storage-initializer"}], "storage-initializer: seccompProfile"),
    ],
)
def test_a_pod_that_does_not_is_found(rendered: Rendered, path: list[str | int], value: object, word: str) -> None:
    pod = next(pod for pod in pods(rendered["prod"]) if pod.name == "gateway")
    spec: Any = copy.deepcopy(pod.spec)
    target = spec
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value

    assert any(word in found for found in violations(Pod(name="x", labels={}, spec=spec, knative=False)))
