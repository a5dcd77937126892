"""`make install-platform`: pinned releases, our settings over them, and never a cluster that was not named.

The upstream files are small ones of the same shape here; tests/cluster lays the same components over the real ones.
"""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.manifests.documents import PLATFORM, ROOT, settings

VERSIONS = settings(PLATFORM / "versions.env")
CONFIG_MAPS = ("config-domain", "config-features", "config-network", "config-observability")


def config_map(name: str, namespace: str, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"_example": "left alone", **data}}


def of_kind(kind: str, name: str, **fields: object) -> dict[str, Any]:
    return {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": name, "namespace": "kserve"}, **fields}


UPSTREAM: dict[str, list[dict[str, Any]]] = {
    f"monitoring-{VERSIONS['PROMETHEUS_OPERATOR']}/stripped-down-crds.yaml": [
        of_kind("CustomResourceDefinition", "podmonitors")
    ],
    f"knative-{VERSIONS['KNATIVE']}/serving-crds.yaml": [of_kind("CustomResourceDefinition", "routes")],
    f"knative-{VERSIONS['KNATIVE']}/serving-core.yaml": [config_map(name, "knative-serving") for name in CONFIG_MAPS],
    f"kourier-{VERSIONS['KOURIER']}/kourier.yaml": [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kourier", "namespace": "kourier-system"},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
        }
    ],
    f"kserve-{VERSIONS['KSERVE']}/kserve.yaml": [
        config_map("inferenceservice-config", "kserve", router='{"image": "kserve/router:v0"}', batcher="{}"),
        of_kind("Deployment", "kserve-controller-manager"),
        of_kind("Deployment", "llmisvc-controller-manager"),
        of_kind("ValidatingWebhookConfiguration", "llminferenceservice.serving.kserve.io"),
        of_kind("ValidatingWebhookConfiguration", "inferenceservice.serving.kserve.io"),
        {
            **of_kind("ClusterStorageContainer", "default", spec={"container": {"name": "storage-initializer"}}),
            "apiVersion": "serving.kserve.io/v1alpha1",
        },
    ],
}


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Downloads that are there already, so that none is made."""
    for name, documents in UPSTREAM.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(yaml.safe_dump_all(documents))
    return tmp_path


def install(kept: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(kept), "KEPT": str(kept), **variables}
    return subprocess.run(
        [PLATFORM / "install", *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
    )


def rendered(kept: Path, **variables: str) -> dict[tuple[str, str], Any]:
    done = install(kept, "render", PARTS="monitoring knative kourier kserve", **variables)
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def test_our_settings_lie_over_what_upstream_ships(kept: Path) -> None:
    found = rendered(kept)

    assert found["ConfigMap", "config-features"]["data"]["secure-pod-defaults"] == "enabled"
    assert found["ConfigMap", "config-network"]["data"]["ingress-class"].startswith("kourier.")
    assert found["ConfigMap", "config-network"]["data"]["_example"] == "left alone"
    assert found["Service", "kourier"]["spec"]["type"] == "ClusterIP"
    container = found["ClusterStorageContainer", "default"]["spec"]["container"]
    assert container["name"] == "storage-initializer"
    assert container["securityContext"]["runAsNonRoot"] is True
    assert ("Deployment", "kserve-controller-manager") in found
    assert ("ValidatingWebhookConfiguration", "inferenceservice.serving.kserve.io") in found
    assert not [name for _, name in found if name.startswith("llm")]


def test_what_watches_the_platform_comes_with_the_kinds_that_it_is_written_in(kept: Path) -> None:
    found = rendered(kept)

    assert ("CustomResourceDefinition", "podmonitors") in found
    assert {("PodMonitor", "knative"), ("ServiceMonitor", "kserve"), ("Deployment", "collector")} <= found.keys()
    observability = found["ConfigMap", "config-observability"]["data"]
    assert observability["metrics-protocol"] == observability["request-metrics-protocol"] == "prometheus"
    collector = found["Service", "collector"]["metadata"]
    assert f"//{collector['name']}.{collector['namespace']}:4318/" in observability["tracing-endpoint"]


def test_graphs_run_our_router_from_the_image_that_is_named(kept: Path) -> None:
    images = [
        json.loads(found["ConfigMap", "inferenceservice-config"]["data"]["router"])["image"]
        for found in (rendered(kept), rendered(kept, ROUTER_IMAGE="registry.example.com:5000/ours@sha256:0"))
    ]

    assert re.fullmatch(r"switchyard/router:\d+\.\d+\.\d+", images[0])
    assert images[1] == "registry.example.com:5000/ours@sha256:0"


def test_every_setting_of_kserve_is_json_with_what_its_controller_needs(kept: Path) -> None:
    data = rendered(kept)["ConfigMap", "inferenceservice-config"]["data"]
    read = {key: json.loads(value) for key, value in data.items() if key != "_example"}

    assert read["deploy"] == {"defaultDeploymentMode": "Knative"}
    assert {"image", "cpuRequest", "cpuLimit", "memoryRequest", "memoryLimit"} <= read["router"].keys()
    assert [re.compile(pattern) for pattern in read["router"]["headers"]["propagate"]]
    assert read["ingress"]["ingressGateway"], "without it the controller does not start"
    assert read["security"] == {"autoMountServiceAccountToken": False}
    assert read["localModel"]["defaultJobImage"].endswith(VERSIONS["KSERVE"])
    assert read["batcher"] == {}, "what we do not set is upstream's"


def test_a_cluster_is_named_or_left_alone(kept: Path) -> None:
    done = install(kept)

    assert done.returncode == 1
    assert "CONTEXT=" in done.stderr


def test_a_part_that_is_unknown_is_rejected_by_its_name(kept: Path) -> None:
    done = install(kept, "render", PARTS="istio")

    assert done.returncode == 1
    assert "istio" in done.stderr


def test_versions_are_exact_and_stand_in_one_file() -> None:
    assert all(re.fullmatch(r"v\d+\.\d+\.\d+", version) for version in VERSIONS.values())
    for version in VERSIONS.values():
        others = [path for path in PLATFORM.rglob("*") if path.is_file() and f"/{version}" in path.read_text()]
        assert others == []
    made = (ROOT / "tests/testdata/schemas/make.py").read_text()
    for module, part in {"kserve": "KSERVE", "gateway-api": "GATEWAY_API", "operator": "PROMETHEUS_OPERATOR"}.items():
        assert f"{module}@{VERSIONS[part]}" in made
