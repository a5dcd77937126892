"""Where a project, its claims and its run directory are."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

from switchyard.devices import choice
from switchyard.devices.choice import Choice, DeviceError
from switchyard.devices.probe import probe
from switchyard.local.errors import LocalError
from switchyard.local.observability import programs
from switchyard.local.observability.addresses import Addresses
from switchyard.local.observability.configuration import Choices
from switchyard.local.observability.deployments import FOLDER, Observers
from switchyard.local.plan.workloads import Options
from switchyard.local.status.run_directory import StateDirectory
from switchyard.repository.verdict import Group

DEFAULT_OVERLAYS: Mapping[Literal["cpu", "cuda"], Path] = {
    "cpu": Path("kustomize/overlays/local"),
    "cuda": Path("kustomize/overlays/local-gpu"),
}

_MARKS = ("model-repository", "pyproject.toml", ".git")
_CLAIM = "model-repository"


def root_of(path: Path) -> Path:
    """Return the project that contains ``path``, the working directory; ``path`` itself when no project contains it.

    The overlay does not matter: an overlay that is kept elsewhere still runs this project's models.
    """
    path = path.resolve()
    for folder in (path, *path.parents):
        if any((folder / mark).exists() for mark in _MARKS):
            return folder
    return path


def device_of(environ: Mapping[str, str]) -> Choice:
    """Return what models run on here.

    Raises:
        LocalError: the device that the environment names cannot be used.
    """
    try:
        return choice.of_environment(probe(environ))
    except DeviceError as err:
        raise LocalError(str(err)) from err


def overlay_of(given: Path | None, here: Path) -> Path:
    """Return the overlay to run: ``given`` relative to ``here``, or the project's own for this machine's device.

    Raises:
        LocalError: as ``device_of``.
    """
    if given is not None:
        return (here / given).resolve()
    return (root_of(here) / DEFAULT_OVERLAYS[device_of(os.environ).kind]).resolve()


def tls_of(certificate: Path | None, key: Path | None, here: Path) -> tuple[Path, Path] | None:
    """Return a certificate and its key, named relative to ``here``, or None for none.

    Raises:
        LocalError: one of them is not named.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise LocalError("TLS needs both --tls-cert and --tls-key")
    return here / certificate, here / key


def directory_of(root: Path) -> StateDirectory:
    """Return the run directory of the project at ``root``."""
    return StateDirectory.of_project(root, os.environ)


def observers_of(directory: StateDirectory, environ: Mapping[str, str]) -> Observers:
    """Return what observes a run: the programs of this machine, at ports that are free now.

    Raises:
        LocalError: a program is missing, or a variable cannot be used.
    """
    return Observers(
        programs=programs.find(environ),
        addresses=Addresses.draw(),
        choices=Choices.of(environ),
        folder=directory.path / FOLDER,
    )


def options_of(
    root: Path, directory: StateDirectory, port: int | None, tls: tuple[Path, Path] | None = None
) -> Options:
    """Return this machine's side of a plan; the manifests' claim is the folder of the same name.

    Models in its folders ``vision`` and ``llm`` are judged and served from the run directory, which keeps them.
    """
    claim = root / _CLAIM
    judged = any((claim / group).is_dir() for group in get_args(Group))
    return Options(
        root=root,
        state=directory.path,
        claims={_CLAIM: claim},
        published={_CLAIM: directory.path / "repository"} if judged else {},
        gateway_port=port,
        gateway_tls=tls,
    )
