"""Tiny overlays whose services run ``tests/testdata/stub_predictor.py``."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ports import free_port

STUB = Path(__file__).parents[2] / "testdata" / "stub_predictor.py"

WINDOW = "autoscaling.knative.dev/window"
DEADLINE = "serving.knative.dev/progress-deadline"


@dataclass(kw_only=True)
class Stub:
    """An InferenceService that runs the stub."""

    name: str
    min_replicas: int = 0
    window: str = "1h"
    deadline: str = "20s"
    concurrency: int = 0
    timeout: int = 30
    env: dict[str, str] = field(default_factory=dict)
    storage: str = "pvc://model-repository/stubs/stub"
    runtime: str = "stub"
    format: str = "stub"
    kind: str = "llm"
    grpc: bool = False
    annotations: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        return {
            "apiVersion": "serving.kserve.io/v1beta1",
            "kind": "InferenceService",
            "metadata": {
                "name": self.name,
                "labels": {"switchyard.dev/kind": self.kind},
                **({"annotations": self.annotations} if self.annotations else {}),
            },
            "spec": {
                "predictor": {
                    "minReplicas": self.min_replicas,
                    "containerConcurrency": self.concurrency,
                    "timeout": self.timeout,
                    "annotations": {WINDOW: self.window, DEADLINE: self.deadline},
                    "model": {
                        "modelFormat": {"name": self.format},
                        "runtime": self.runtime,
                        "storageUri": self.storage,
                        "env": [{"name": name, "value": value} for name, value in self.env.items()],
                        "envFrom": [{"configMapRef": {"name": "stub-settings"}}],
                        "ports": [{"name": "h2c", "containerPort": 8080}] if self.grpc else [],
                    },
                }
            },
        }


def runtime() -> dict[str, Any]:
    return {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterServingRuntime",
        "metadata": {"name": "stub"},
        "spec": {
            "supportedModelFormats": [{"name": "stub"}],
            "containers": [
                {
                    "name": "kserve-container",
                    "image": "stub",
                    "command": ["python", str(STUB)],
                    "args": ["--model_name={{.Name}}", "--model_dir=/mnt/models", "--http_port=8080"],
                    "env": [{"name": "MODEL_FILE", "value": "/mnt/models/weights"}],
                    "readinessProbe": {"httpGet": {"path": "/v2/models/{{.Name}}/ready", "port": 8080}},
                }
            ],
        },
    }


def runtime_of_two() -> dict[str, Any]:
    """A runtime like Triton's: the public container reaches the other one on the pod's loopback."""
    document = runtime()
    public = document["spec"]["containers"][0]
    other = {
        "name": "kserve-container",
        "image": "stub",
        "command": ["python", str(STUB)],
        "args": ["--http-port=9000", "--model_dir=/mnt/models"],
    }
    public |= {"name": "transformer-container", "ports": [{"containerPort": 8080}]}
    public["args"] = [*public["args"], "--peer=127.0.0.1:9000"]
    public["env"] = [*public["env"], {"name": "STUB_LOAD_SECONDS", "value": "0.3"}]  # ready after the other
    document["metadata"]["name"] = "two"
    document["spec"]["supportedModelFormats"] = [{"name": "stub"}, {"name": "triton"}]
    document["spec"]["containers"] = [other, public]
    return document


def gateway(port: int, *, real: bool = False) -> dict[str, Any]:
    container = {
        "name": "gateway",
        "image": "stub",
        "command": ["python", "-m", "switchyard.gateway"] if real else ["python", str(STUB)],
        "args": [f"--http_port={port}", *([f"--grpc_port={free_port()}"] if real else [])],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": port}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "gateway", "labels": {"app.kubernetes.io/name": "gateway"}},
        "spec": {
            "selector": {"matchLabels": {"app": "gateway"}},
            "template": {"metadata": {"labels": {"app": "gateway"}}, "spec": {"containers": [container]}},
        },
    }


def mounts(document: dict[str, Any], secret: str, path: str) -> None:
    """Lets a Deployment mount a Secret."""
    pod = document["spec"]["template"]["spec"]
    pod["volumes"] = [*pod.get("volumes", ()), {"name": secret, "secret": {"secretName": secret}}]
    container = pod["containers"][0]
    container["volumeMounts"] = [*container.get("volumeMounts", ()), {"name": secret, "mountPath": path}]


def write(root: Path, stubs: list[Stub], port: int, *, real_gateway: bool = False) -> Path:
    """A project at ``root`` with one overlay; returns the overlay's folder."""
    (root / "model-repository" / "stubs" / "stub").mkdir(parents=True, exist_ok=True)
    overlay = root / "overlay"
    overlay.mkdir(exist_ok=True)
    documents = [runtime(), runtime_of_two(), gateway(port, real=real_gateway), *(stub.document() for stub in stubs)]
    # JSON is YAML
    (overlay / "documents.yaml").write_text("\n---\n".join(json.dumps(document) for document in documents))
    (overlay / "kustomization.yaml").write_text(
        "resources: [documents.yaml]\n"
        "configurations: [references.yaml]\n"
        "configMapGenerator:\n- name: stub-settings\n  literals: [FROM_MAP=yes]\n"
    )
    (overlay / "references.yaml").write_text(
        "nameReference:\n- kind: ConfigMap\n  fieldSpecs:\n"
        "  - {kind: InferenceService, path: spec/predictor/model/envFrom/configMapRef/name}\n"
    )
    return overlay
