"""Where a project, its claims and its run directory are."""

import os
from pathlib import Path

from switchyard.local.plan.workloads import Options
from switchyard.local.status.run_directory import StateDirectory

DEFAULT_OVERLAY = Path("kustomize/overlays/local")

_MARKS = ("model-repository", "pyproject.toml", ".git")
_CLAIM = "model-repository"


def root_of(path: Path) -> Path:
    """The project that ``path``, where the command was given, lies in; ``path`` itself when it lies in none.

    The overlay says nothing about it: one kept elsewhere still runs this project's models.
    """
    path = path.resolve()
    for folder in (path, *path.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    return path


def overlay_of(given: Path | None, here: Path) -> Path:
    """The overlay to run: ``given`` as seen from ``here``, or the project's local one."""
    return (root_of(here) / DEFAULT_OVERLAY if given is None else here / given).resolve()


def directory_of(root: Path) -> StateDirectory:
    """The run directory of the project at ``root``."""
    return StateDirectory.of_project(root, os.environ)


def options_of(root: Path, directory: StateDirectory) -> Options:
    """This machine's side of a plan; the claim of the manifests is the folder of the same name."""
    return Options(root=root, state=directory.path, claims={_CLAIM: root / _CLAIM})
