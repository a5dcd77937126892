"""Catalog entries from documents: InferenceServices, InferenceGraphs and folders of a Triton repository."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

from switchyard.catalog.models import CatalogError, Kind, Model, State
from switchyard.rpc.v2 import name_fault

KIND_LABEL = "switchyard.dev/kind"


CONTEXT_LENGTH_ANNOTATION = "switchyard.dev/context-length"


INPUTS_ANNOTATION = "switchyard.dev/chat-inputs"  # the parts that a chat may hold, such as "text,image"; text if absent


def describe(document: Mapping[str, Any], *, url: str, grpc: str = "", state: State | None = None) -> Model:
    """Return the catalog entry of an InferenceService or InferenceGraph document, with the concurrency of one replica.

    Raises:
        CatalogError: the kind label is missing or unknown, or the context length is not a number.
    """
    metadata = document["metadata"]
    what, name = document.get("kind", "InferenceService"), metadata["name"]
    kind = metadata.get("labels", {}).get(KIND_LABEL)
    if kind not in get_args(Kind):
        raise CatalogError(f"{what} {name}: label {KIND_LABEL} is {kind!r}; use one of {', '.join(get_args(Kind))}")
    length = metadata.get("annotations", {}).get(CONTEXT_LENGTH_ANNOTATION)
    if length is not None and not str(length).isdecimal():
        raise CatalogError(
            f"{what} {name}: annotation {CONTEXT_LENGTH_ANNOTATION} is {length!r}, not a number of tokens"
        )
    return Model(
        name=name,
        kind=kind,
        url=url,
        grpc=grpc,
        context_length=None if length is None else int(length),
        concurrency=_concurrency(document.get("spec") or {}),
        accepts_images="image" in metadata.get("annotations", {}).get(INPUTS_ANNOTATION, "text").split(","),
        state=state or State(phase="asleep"),
        revision=revision_of(document.get("spec")),
    )


def revision_of(*parts: object) -> str:
    """Return a short name of everything in ``parts``, the same wherever these are."""
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _concurrency(spec: Mapping[str, Any]) -> int | None:
    """Return the ``containerConcurrency`` of whatever takes the requests; a graph's router has none."""
    value = (spec.get("transformer") or spec.get("predictor") or {}).get("containerConcurrency")
    return value if isinstance(value, int) and value > 0 else None


def hosts_repository(document: Mapping[str, Any]) -> bool:
    """Whether an InferenceService serves a whole repository, each of its models under its own name.

    KServe and Triton do so for the format ``triton``, where ``storageUri`` names the repository's root.
    """
    model = document["spec"]["predictor"].get("model") or {}
    return bool((model.get("modelFormat") or {}).get("name") == "triton")


def hosted(service: Model, folder: Path) -> list[Model]:
    """Return the models of the Triton repository in ``folder``, all served at the address of ``service``.

    Triton takes any folder with a numbered version in it for a model. Hidden folders are skipped, and so are those that
    vanish meanwhile or cannot be read; one whose name cannot be part of a path is listed as failed.
    """
    found = [path for path in sorted(_within(folder)) if _is_triton_model(path)]
    return [replace(service, name=path.name, versions=_versions(path), state=_state(service, path)) for path in found]


def _state(service: Model, folder: Path) -> State:
    fault = name_fault(folder.name)
    return State(phase="failed", reason=fault) if fault else service.state


def _is_triton_model(folder: Path) -> bool:
    if folder.name.startswith("."):
        return False
    inside = _within(folder)
    return any(path.name == "config.pbtxt" or path.name.isdecimal() for path in inside)


def _versions(folder: Path) -> tuple[str, ...]:
    return tuple(sorted((path.name for path in _within(folder) if path.name.isdecimal()), key=int))


def _within(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
