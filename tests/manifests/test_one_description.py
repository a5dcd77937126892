"""A service is described once: environments render the same objects and differ only where they are allowed to."""

import copy
import fnmatch
import json
import re
from typing import Any

import pytest

from switchyard.catalog import CONTEXT_LENGTH_ANNOTATION, KIND_LABEL, hosts_repository
from tests.manifests.documents import ENVIRONMENTS, ROOT, SERVICES, Document, Rendered, leaves, of_kind

BASE = "local"

# What an environment may decide, as paths of a rendered document. Everything else is the same everywhere.
MAY_DIFFER = {
    "*": ["metadata.namespace"],
    "InferenceService": [
        "metadata.annotations.switchyard.dev/context-length",
        "spec.predictor.minReplicas",
        "spec.predictor.maxReplicas",
        "spec.predictor.annotations.autoscaling.knative.dev/scale-down-delay",
        "spec.predictor.model.storageUri",
        "spec.predictor.model.envFrom.0.configMapRef.name",
        "spec.predictor.model.envFrom.1.secretRef.name",
        "spec.predictor.model.resources.limits.nvidia.com/*",
        "spec.predictor.canaryTrafficPercent",
        "spec.predictor.serviceAccountName",
        "spec.predictor.priorityClassName",
        "spec.predictor.topologySpreadConstraints.*",
    ],
    "InferenceGraph": [
        "metadata.annotations.features.knative.dev/http-full-duplex",
        "metadata.annotations.switchyard.dev/context-length",
        "spec.minReplicas",
        "spec.serviceAccountName",
    ],
    "ClusterServingRuntime": [
        "spec.containers.0.image",
        "spec.containers.0.resources.*",
        "spec.nodeSelector.*",
        "spec.tolerations*",
    ],
    "Deployment": [
        "spec.replicas",
        "spec.strategy.rollingUpdate.*",
        "spec.template.spec.priorityClassName",
        "spec.template.spec.topologySpreadConstraints.*",
        "spec.template.spec.containers.0.image",
        "spec.template.spec.containers.0.envFrom.0.configMapRef.name",
        "spec.template.spec.containers.0.env.*",
        "spec.template.spec.containers.0.volumeMounts.1.*",
        "spec.template.spec.volumes.1.*",
    ],
    "RoleBinding": ["subjects.0.namespace"],
    "ConfigMap": ["metadata.name", "data.*"],
}

REPOSITORY_FLAGS = {"--model-repository", "--model_repository"}  # vision's: components/model-sync
# Args that an environment may add or change, by flag.
MAY_DIFFER_ARGS = {
    "InferenceService": {"--domain", "--fast_window", "--max-model-len", "--tool-call-parser"},
    "ClusterServingRuntime": {"--dtype", "--enforce-eager", "--gpu-memory-utilization", "--kv-cache-memory-bytes"}
    | REPOSITORY_FLAGS,
    "Deployment": {"--host"},
}

# Variables that an environment may add, by name: components/monitoring.
MAY_DIFFER_ENV = {"ClusterServingRuntime": {"OTEL_EXPORTER_OTLP_ENDPOINT"}}

# Objects that only some environments have: what is around a service but not part of its description, and sample graphs.
MAY_BE_ABSENT = {
    "GRPCRoute",
    "Gateway",
    "HTTPRoute",
    "HorizontalPodAutoscaler",
    "Ingress",
    "LimitRange",
    "LocalModelCache",
    "LocalModelNodeGroup",
    "Namespace",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PodMonitor",
    "PriorityClass",
    "PrometheusRule",
    "ResourceQuota",
}
SAMPLES = {("InferenceGraph", path.stem) for path in (ROOT / "manifests/graphs/samples").glob("*.yaml")}
BOARDS = {("ConfigMap", f"switchyard-{path.stem}-board") for path in (ROOT / "dashboards/grafana").glob("*.json")}
OF_SOME = (
    SAMPLES
    | BOARDS
    | {
        ("ServiceAccount", "predictor"),
        ("ConfigMap", "model-device"),
        ("ConfigMap", "model-repository-status"),
        ("Deployment", "repository-sync"),
        ("PersistentVolumeClaim", "model-repository-published"),
        ("Role", "repository-sync"),
        ("RoleBinding", "repository-sync"),
        ("Service", "redis"),
        ("ServiceAccount", "redis"),
        ("ServiceAccount", "repository-sync"),
        ("StatefulSet", "redis"),
    }
)

_ABSENT = object()
_HASH = re.compile(r"-[a-z0-9]{10}$")


def key(document: Document) -> tuple[str, str]:
    """Kind and name, a generated ConfigMap's without the hash of its content."""
    name = document["metadata"]["name"]
    return document["kind"], _HASH.sub("", name) if document["kind"] == "ConfigMap" else name


def fixed(document: Document) -> dict[str, object]:
    """The fields of a document that no environment may change."""
    kind = document["kind"]
    patterns = MAY_DIFFER["*"] + MAY_DIFFER.get(kind, [])
    named = _without_differing(copy.deepcopy(dict(document)), kind)
    if kind == "InferenceGraph":  # a URL names its host by namespace
        namespace = document["metadata"]["namespace"]
        named = json.loads(json.dumps(named).replace(f".{namespace}.svc.", ".NAMESPACE.svc."))
    return {
        path: value
        for path, value in leaves(named)
        if not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
    }


def _without_differing(value: Any, kind: str) -> Any:
    """``value`` with the args and variables that may differ left out."""
    if isinstance(value, list):
        return [_without_differing(item, kind) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {name: _without_differing(item, kind) for name, item in value.items()}
    if "args" in kept:
        flags = MAY_DIFFER_ARGS.get(kind, set())
        kept["args"] = [argument for argument in kept["args"] if argument.split("=")[0] not in flags]
    if "env" in kept:
        variables = MAY_DIFFER_ENV.get(kind, set())
        kept["env"] = [variable for variable in kept["env"] if variable["name"] not in variables]
    return kept


def differences(left: list[Document], right: list[Document]) -> list[str]:
    """What two environments have different and may not."""
    mine, theirs = ({key(document): document for document in side} for side in (left, right))
    found = [
        f"{kind} {name} is in one only"
        for kind, name in mine.keys() ^ theirs.keys()
        if kind not in MAY_BE_ABSENT and (kind, name) not in OF_SOME
    ]
    for kind, name in mine.keys() & theirs.keys():
        here, there = fixed(mine[kind, name]), fixed(theirs[kind, name])
        changed = [path for path in here.keys() | there.keys() if here.get(path, _ABSENT) != there.get(path, _ABSENT)]
        found += [f"{kind} {name}: {path}" for path in sorted(changed)]
    return found


@pytest.mark.parametrize("environment", [name for name in ENVIRONMENTS if name != BASE])
def test_an_environment_differs_from_local_only_where_it_may(rendered: Rendered, environment: str) -> None:
    assert differences(rendered[BASE], rendered[environment]) == []


MUTATIONS: dict[str, tuple[str, list[str | int], object]] = {
    "a runtime": ("InferenceService", ["spec", "predictor", "model", "runtime"], "other"),
    "a timeout": ("InferenceService", ["spec", "predictor", "timeout"], 60),
    "a kind label": ("InferenceService", ["metadata", "labels", "switchyard.dev/kind"], "vision"),
    "args": ("InferenceService", ["spec", "predictor", "model", "args"], ["--max-model-len=1", "--seed=1"]),
    "a command": ("ClusterServingRuntime", ["spec", "containers", 0, "command"], ["sh"]),
    "a probe": ("ClusterServingRuntime", ["spec", "containers", 0, "readinessProbe"], {}),
    "variables": ("ClusterServingRuntime", ["spec", "containers", 0, "env"], []),
    "the gateway's ports": ("Deployment", ["spec", "template", "spec", "containers", 0, "ports"], []),
    "a security context": ("Deployment", ["spec", "template", "spec", "containers", 0, "securityContext"], {}),
}


@pytest.mark.parametrize("what", MUTATIONS)
def test_an_environment_that_changes_anything_else_is_found(rendered: Rendered, what: str) -> None:
    kind, path, value = MUTATIONS[what]
    changed = copy.deepcopy(list(rendered[BASE]))
    target: Any = next(document for document in changed if document["kind"] == kind)
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value

    assert differences(rendered[BASE], changed)


def test_an_environment_that_leaves_a_service_out_is_found(rendered: Rendered) -> None:
    short = [document for document in rendered[BASE] if document["metadata"]["name"] != "embed"]

    assert differences(rendered[BASE], short) == ["InferenceService embed is in one only"]


def test_every_service_folder_is_served_in_every_environment(rendered: Rendered) -> None:
    folders = {path.parent.name for path in SERVICES.glob("*/inferenceservice.yaml")}

    assert {name: set(of_kind(documents, "InferenceService")) for name, documents in rendered.items()} == dict.fromkeys(
        rendered, folders
    )


def test_every_service_has_its_model_folder_or_names_a_public_model(rendered: Rendered) -> None:
    for documents in rendered.values():
        for name, service in of_kind(documents, "InferenceService").items():
            scheme, _, place = service["spec"]["predictor"]["model"]["storageUri"].partition("://")
            if place == "model-repository-published":  # components/model-sync: what is good of the folder
                place = "model-repository/vision"
            if scheme == "pvc":
                hosts = hosts_repository(service)
                step = service["metadata"]["labels"][KIND_LABEL] == "step"
                assert place == (
                    "model-repository/vision" if hosts else f"model-repository/{'' if step else 'llm/'}{name}"
                )
                file = "ocr/config.pbtxt" if hosts else "prior.safetensors" if step else "config.json"
                assert (ROOT / place / file).is_file(), f"{name}: `make setup` has not filled {place}"
            else:
                assert scheme == "hf"
                assert re.fullmatch(r"[\w.-]+/[\w.-]+", place)


def test_a_service_promises_no_longer_context_than_its_model_has(rendered: Rendered) -> None:
    for name, service in of_kind(rendered[BASE], "InferenceService").items():
        if CONTEXT_LENGTH_ANNOTATION not in service["metadata"]["annotations"]:
            continue
        file = ROOT / f"model-repository/llm/{name}/config.json"
        assert file.is_file(), f"{name} has no {file.relative_to(ROOT)}"
        config = json.loads(file.read_text())
        promised = int(service["metadata"]["annotations"][CONTEXT_LENGTH_ANNOTATION])
        longest = config["max_position_embeddings"]
        assert promised <= longest, f"{name} promises a context of {promised} tokens, and its config.json has {longest}"


def test_every_runtime_runs_a_module_that_exists(rendered: Rendered) -> None:
    for runtime in of_kind(rendered[BASE], "ClusterServingRuntime").values():
        command = next(one["command"] for one in runtime["spec"]["containers"] if "ports" in one)
        program, flag, *modules = command
        assert (program, flag) == ("python", "-m")
        if not modules:  # the service's args begin with its own
            modules = [
                service["spec"]["predictor"]["model"]["args"][0]
                for service in of_kind(rendered[BASE], "InferenceService").values()
                if service["spec"]["predictor"]["model"]["runtime"] == runtime["metadata"]["name"]
            ]
        for module in modules:
            assert (ROOT / module.replace(".", "/") / "__main__.py").is_file(), f"{module} cannot be run"


def test_every_model_folder_has_its_service() -> None:
    folders = {path.name for path in (ROOT / "model-repository/llm").iterdir() if path.is_dir()}

    assert folders <= {path.parent.name for path in SERVICES.glob("*/inferenceservice.yaml")}
