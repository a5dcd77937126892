"""The InferenceService of a language or embedding model, derived from what was found in its folder.

The same template makes the object that the platform keeps for a folder without a service, and the files of
``manifests/services/<name>/`` for one that a person keeps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from switchyard.repository.verdict import Facts

KV_CACHE_FLAG = "--kv-cache-memory-bytes"
DERIVED_LABEL = "switchyard.dev/derived-from"  # on objects that the platform keeps: those of others are left alone

ServedKind = Literal["llm", "embedding"]

_GIB = 1024**3
# What manifests/runtimes/vllm.yaml gives each model: a service says more only where it needs more.
_RUNTIME_MEMORY = {"requests": 4 * _GIB, "limits": 8 * _GIB}
# A text is one short forward pass; a generated response holds its KV cache for long.
_SCALE_TARGET: Mapping[ServedKind, int] = {"llm": 16, "embedding": 32}
_CONCURRENCY: Mapping[ServedKind, int] = {"llm": 32, "embedding": 64}
_MAX_REPLICAS: Mapping[ServedKind, int] = {"llm": 4, "embedding": 2}
_SETTINGS: Mapping[ServedKind, str] = {
    "llm": "DEFAULT_TEMPERATURE=\nDEFAULT_TOP_P=\nDEFAULT_MAX_TOKENS=\nUSE_4BIT=false\n",
    "embedding": "",
}
_SHARED_SETTINGS = "LOG_LEVEL=info\nMAX_CONCURRENT_REQUESTS=64\nGRACE_SECONDS=30\n"


class UnservableError(ValueError):
    """The facts are of a model that needs no InferenceService of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a derived service lives: ``claim`` is the volume claim with the models, ``gpus`` are for each replica.

    ``kv_cache`` is the bytes that its runtime gives each model; one with GPUs of its own takes all that they have.
    """

    namespace: str = ""
    claim: str = "model-repository"
    gpus: int = 0
    scale_down_delay: str = "10m"  # a start costs more than ten idle minutes
    kv_cache: int = 256 * 1024**2  # components/cpu


def derived(name: str, facts: Facts, place: Place = Place()) -> dict[str, Any]:
    """Return the InferenceService for the folder ``llm/<name>``, with the defaults of every setting.

    Raises:
        UnservableError: the model is neither a language model nor an embedding model.
    """
    document = _document(name, facts, place)
    document["metadata"]["labels"][DERIVED_LABEL] = "llm"
    if place.namespace:
        document["metadata"]["namespace"] = place.namespace
    return document


def files(name: str, facts: Facts) -> dict[str, str]:
    """Return the files of ``manifests/services/<name>/`` by name: a service whose settings are a file beside it.

    Raises:
        UnservableError: the model is neither a language model nor an embedding model.
    """
    document = _document(name, facts, Place())
    settings = f"{name}-settings"
    document["spec"]["predictor"]["model"]["envFrom"] = [{"configMapRef": {"name": settings}}]
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": ["inferenceservice.yaml"],
        "configMapGenerator": [{"name": settings, "envs": ["settings.env"]}],
    }
    about = f"# Derived from model-repository/llm/{name}, and yours to change: it is not written again.\n"
    return {
        "inferenceservice.yaml": about + yaml.safe_dump(document, sort_keys=False, width=120),
        "kustomization.yaml": yaml.safe_dump(kustomization, sort_keys=False, width=120),
        "settings.env": _SHARED_SETTINGS + _SETTINGS[_kind(name, facts)],
    }


def _document(name: str, facts: Facts, place: Place) -> dict[str, Any]:
    kind = _kind(name, facts)
    model: dict[str, Any] = {
        "modelFormat": {"name": "vllm"},
        "runtime": "switchyard-vllm",
        "protocolVersion": "v2",
        "storageUri": f"pvc://{place.claim}/llm/{name}",
        "args": _arguments(kind, facts, place),
    }
    if resources := _resources(facts, place.gpus):
        model["resources"] = resources
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name, "labels": {"switchyard.dev/kind": kind}, "annotations": _annotations(facts)},
        "spec": {
            "predictor": {
                "minReplicas": 0,
                "maxReplicas": _MAX_REPLICAS[kind],
                "scaleMetric": "concurrency",
                "scaleTarget": _SCALE_TARGET[kind],
                "containerConcurrency": _CONCURRENCY[kind],
                "timeout": 600,  # a cold start and a long response; Knative's default maximum
                "annotations": {
                    "autoscaling.knative.dev/scale-down-delay": place.scale_down_delay,
                    "serving.knative.dev/progress-deadline": "1200s",  # as the runtime's startup probe waits
                },
                "model": model,
            }
        },
    }


def _kind(name: str, facts: Facts) -> ServedKind:
    if facts.kind == "vision":
        raise UnservableError(f"{name} is a vision model, which the service of the vision repository serves")
    return facts.kind


def _annotations(facts: Facts) -> dict[str, str]:
    annotations = {"serving.kserve.io/deploymentMode": "Knative"}
    if facts.context_length is not None:
        annotations["switchyard.dev/context-length"] = str(facts.context_length)
    if facts.accepts_images:
        annotations["switchyard.dev/chat-inputs"] = "text,image"
    return annotations


def _arguments(kind: ServedKind, facts: Facts, place: Place) -> list[str]:
    length = [] if facts.context_length is None else [f"--max-model-len={facts.context_length}"]
    # vLLM starts only if its cache holds one request of the whole context. A later flag wins over the runtime's.
    cache = facts.memory.kv_cache
    more = [f"{KV_CACHE_FLAG}={cache}"] if cache > place.kv_cache and not place.gpus else []
    own = ["--runner=pooling"] if kind == "embedding" else []
    if facts.tool_parser:
        own = ["--enable-auto-tool-choice", f"--tool-call-parser={facts.tool_parser}"]
    return [*length, *more, *own]


def _resources(facts: Facts, gpus: int) -> dict[str, dict[str, str]]:
    memory = facts.memory
    # While they are loaded, weights pass through memory once more than they are held in it.
    needed = {"requests": memory.total, "limits": memory.total + memory.weights}
    resources = {
        side: {"memory": f"{-(-size // _GIB)}Gi"} for side, size in needed.items() if size > _RUNTIME_MEMORY[side]
    }
    if gpus:
        resources.setdefault("limits", {})["nvidia.com/gpu"] = str(gpus)
    return resources
