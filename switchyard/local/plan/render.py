"""Renders an overlay with ``kubectl kustomize`` to the documents that a cluster would get."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from switchyard.documents import parse_documents
from switchyard.local.errors import LocalError

Document = Mapping[str, Any]

_TIMEOUT_SECONDS = 60


class RenderError(LocalError):
    """The overlay cannot be rendered."""


def render(overlay: Path, *, kubectl: str = "kubectl") -> list[Document]:
    """Render the documents of ``overlay``.

    Raises:
        RenderError: kubectl is missing, ``overlay`` is not a kustomization, or the build fails.
    """
    return documents(render_text(overlay, kubectl=kubectl), overlay)


def render_text(overlay: Path, *, kubectl: str = "kubectl") -> str:
    """Render the YAML text of ``overlay``; raises as ``render`` does."""
    if not overlay.is_dir():
        raise RenderError(f"{overlay} is not a folder; name one that has a kustomization.yaml")
    environment = str(Path(sys.executable).parent)  # where `make setup` puts it if the system has none
    program = shutil.which(kubectl) or shutil.which(kubectl, path=environment)
    if program is None:
        raise RenderError(
            f"{kubectl} is neither on PATH nor in {environment}; local mode renders with `kubectl kustomize` (no "
            "cluster is contacted): install the kubectl binary, or run `make setup`, which does"
        )
    try:
        done = subprocess.run(  # noqa: S603  (the program is kubectl, the argument a folder)
            [program, "kustomize", str(overlay)], capture_output=True, text=True, timeout=_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise RenderError(f"`kubectl kustomize {overlay}` took more than {_TIMEOUT_SECONDS} s") from err
    if done.returncode != 0:
        raise RenderError(f"`kubectl kustomize {overlay}` failed: {done.stderr.strip()}")
    return done.stdout


def fingerprint(text: str) -> str:
    """Return what tells one rendered text from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def documents(text: str, overlay: Path) -> list[Document]:
    """Parse the documents of rendered YAML.

    Raises:
        RenderError: the text is not YAML, or a document in it is not an object.
    """
    try:
        found = parse_documents(text)
    except yaml.YAMLError as err:
        raise RenderError(f"the output of `kubectl kustomize {overlay}` is not YAML: {err}") from err
    for document in found:
        if not isinstance(document, dict) or not {"apiVersion", "kind", "metadata"} <= document.keys():
            raise RenderError(f"{overlay} renders something that is not a Kubernetes object: {str(document)[:200]}")
    return found
