"""kube-score, a linter for Kubernetes objects, has nothing against the overlays but what is listed here with a reason.

It knows none of KServe's kinds, so it is shown the pods that they come to. It checks, among others: limits, requests,
probes, user and group ids, read-only root, capabilities, image tags, selectors of Services, policies, budgets and
autoscalers, spreading over hosts, deprecated API versions.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from benchmarks import go
from tests.manifests.documents import CLUSTERS, Document, Rendered
from tests.manifests.pods import pods

OPTIONS = ("--kubernetes-version=v1.34", "--output-format=json", "--enable-optional-test=container-seccomp-profile")
OK = 10  # its grade for "nothing to say"

EXCUSED = {
    ("container-image-pull-policy", "*"): "tags are fixed, and a node that has the image need not ask for it again",
    ("container-security-context-user-group-id", "*"): "ids below 10000 are the images' own: 1000 KServe's, 999 Redis'",
    ("container-ephemeral-storage-request-and-limit", "Pod"): "volumes have limits",
    ("container-resources", "Pod"): "a graph router's, and a storage initializer's, are in KServe's settings",
    ("container-image-tag", "Pod"): "likewise",
    ("container-security-context-readonlyrootfilesystem", "Pod"): "the storage initializer writes what it downloads",
    ("deployment-has-host-podantiaffinity", "Deployment"): "topologySpreadConstraints do that",
    ("deployment-replicas", "Deployment"): "one in dev, and an autoscaler's two or more elsewhere",
    ("networkpolicy-targets-pod", "NetworkPolicy clients"): "for programs that are not ours",
}


@pytest.fixture(scope="module")
def kube_score() -> Path:
    return go.kube_score()


def shown(documents: list[Document]) -> Iterator[Document]:
    """The documents that kube-score knows, and pods in the place of the others."""
    namespace = next(item["metadata"]["name"] for item in documents if item["kind"] == "Namespace")
    yield from (item for item in documents if not item["apiVersion"].startswith("serving.kserve.io/"))
    for pod in pods(documents):
        if pod.knative:
            metadata = {"name": pod.name, "namespace": namespace, "labels": dict(pod.labels)}
            yield {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod.spec}


def complaints(program: Path, documents: list[Document]) -> set[tuple[str, str]]:
    """Each check that grades some object below "ok", with the object."""
    done = subprocess.run(
        [str(program), "score", *OPTIONS, "-"],
        input=yaml.safe_dump_all(shown(documents)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return {
        (check["check"]["id"], f"{item['type_meta']['kind']} {item['object_meta']['name']}")
        for item in json.loads(done.stdout)
        for check in item["checks"]
        if not check["skipped"] and check["grade"] < OK
    }


def excused(check: str, item: str) -> bool:
    return any((check, name) in EXCUSED for name in ("*", item, item.split()[0]))


@pytest.mark.parametrize("environment", CLUSTERS)
def test_the_linter_has_nothing_against_an_overlay(rendered: Rendered, kube_score: Path, environment: str) -> None:
    found = complaints(kube_score, rendered[environment])

    assert {complaint for complaint in found if not excused(*complaint)} == set()


def test_every_excuse_is_needed(rendered: Rendered, kube_score: Path) -> None:
    found = {complaint for name in CLUSTERS for complaint in complaints(kube_score, rendered[name])}

    used = {(check, name) for check, item in found for name in ("*", item, item.split()[0])}
    assert EXCUSED.keys() - used == set()
