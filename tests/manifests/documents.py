"""Rendered documents as the tests of this folder see them."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from switchyard.local.plan.render import render

Document = Mapping[str, Any]
Rendered = Mapping[str, list[Document]]

ROOT = Path(__file__).parents[2]
OVERLAYS = ROOT / "kustomize/overlays"
COMPONENTS = ROOT / "kustomize/components"
PLATFORM = ROOT / "kustomize/platform"
SERVICES = ROOT / "manifests/services"
ENVIRONMENTS = sorted(path.parent.name for path in OVERLAYS.glob("*/kustomization.yaml"))
CLUSTERS = [name for name in ENVIRONMENTS if not name.startswith("local")]


def render_all() -> Rendered:
    return {name: render(OVERLAYS / name) for name in ENVIRONMENTS}


def render_component(component: Path) -> list[Document]:
    """What a component is by itself, with nothing below it."""
    with tempfile.TemporaryDirectory() as folder:
        base = {"components": [os.path.relpath(component, Path(folder).resolve())]}
        Path(folder, "kustomization.yaml").write_text(json.dumps(base))
        return render(Path(folder))


def render_optional() -> list[Document]:
    """What no overlay has: it is installed once in a cluster, or added where its operator is."""
    return render_component(PLATFORM / "monitoring") + render_component(COMPONENTS / "grafana-operator")


def of_kind(documents: list[Document], kind: str) -> dict[str, Document]:
    """The documents of a kind by name."""
    return {document["metadata"]["name"]: document for document in documents if document["kind"] == kind}


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Each scalar of a document with its path, such as ``spec.containers.0.image``; an empty list or map counts."""
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value:
        for position, item in enumerate(value):
            yield from leaves(item, f"{path}.{position}")
    else:
        yield path, value


def containers(document: Document) -> list[Document]:
    """The containers of a runtime, a Deployment or a StatefulSet."""
    spec = document["spec"]
    pod = spec["template"]["spec"] if "template" in spec else spec
    found: list[Document] = pod.get("containers", [])
    return found


def settings(path: Path) -> dict[str, str]:
    """The entries of a ``settings.env``."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)
