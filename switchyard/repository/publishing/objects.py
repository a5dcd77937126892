"""The files of one published content: made ready before engines see them, and compared with what they were later."""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from switchyard.repository.folder import Manifest
from switchyard.repository.verdict import Facts

# By path: size, when it was written and changed in ns, and the SHA-256 in hexadecimal.
Stamps = Mapping[str, tuple[int, int, int, str]]
_CACHES = "__pycache__"  # which Triton's Python models leave beside their code


def is_served(path: str, facts: Facts) -> bool:
    """Return whether a file is published: those of versions that are left out are not."""
    version, below, _ = path.partition("/")
    return not (facts.versions and below and version.isdecimal() and version not in facts.versions)


def object_digest(manifest: Manifest, facts: Facts) -> str:
    """Return what names the published files: the folder's own digest, unless something is added or left out."""
    left_out = [path for path in manifest.files if not is_served(path, facts)]
    if not (facts.config or left_out):
        return manifest.digest
    return hashlib.sha256(json.dumps([manifest.digest, facts.config, sorted(left_out)]).encode()).hexdigest()


def finish(folder: Path, facts: Facts) -> None:
    """Leave only what is served, with the completed configuration; write it to the disk, and let nobody write there."""
    for path in list(_files(folder)):
        if not is_served(path, facts):
            (folder / path).unlink()
    for parent, _, _ in os.walk(folder, topdown=False):
        if not os.listdir(parent):
            os.rmdir(parent)
    if facts.config:
        (folder / "config.pbtxt").unlink(missing_ok=True)
        (folder / "config.pbtxt").write_text(facts.config)
    for version in facts.versions:  # an ensemble's is empty
        (folder / version).mkdir(exist_ok=True)
    for parent, folders, files in os.walk(folder):
        for name in files:
            sync(Path(parent, name))
            os.chmod(os.path.join(parent, name), 0o444)
        for name in folders:
            os.chmod(os.path.join(parent, name), 0o555)  # noqa: S103  (engines run as other users)
        sync(Path(parent))


def stamps_of(folder: Path, digests: Mapping[str, str]) -> Stamps:
    """Return the stamps of finished files; a digest that is not given is computed."""
    return {path: _stamp(folder / path, digests.get(path)) for path in _files(folder)}


def verified(folder: Path, stamps: Stamps) -> Stamps | None:
    """Return the stamps of files that are what they were, None if one is not; only what was touched is read."""
    found: dict[str, tuple[int, int, int, str]] = {}
    for cache in list(folder.rglob(_CACHES)):  # which would be run instead of the code
        remove(cache)
    for path in _files(folder):
        known = stamps.get(path)
        if known is None or not stat.S_ISREG(os.lstat(folder / path).st_mode):
            return None
        found[path] = _stamp(folder / path, None, known)
        if (found[path][0], found[path][3]) != (known[0], known[3]):
            return None
    return found if found.keys() == stamps.keys() else None


def marks_of(folder: Path) -> Mapping[str, tuple[int, ...]]:
    """Return what changes by a write to a copy, also to its folders' names."""
    found = {str(path): os.lstat(path) for path in folder.rglob("*")}
    return {
        path: (one.st_mode, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for path, one in found.items()
    }


def stamps_from(row: Mapping[str, Any]) -> Stamps:
    """Read stamps that were written as JSON."""
    return {
        path: (int(size), int(written), int(changed), str(sha)) for path, (size, written, changed, sha) in row.items()
    }


def sync(path: Path) -> None:
    """Write a file, or the names in a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder, also one that nobody may write to."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for parent, _, _ in os.walk(path):
        os.chmod(parent, 0o700)
    shutil.rmtree(path)


def _stamp(path: Path, digest: str | None, known: tuple[int, int, int, str] | None = None) -> tuple[int, int, int, str]:
    found = os.lstat(path)
    times = (found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    if known and known[:3] == times:
        return known
    if digest is None:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    return (*times, digest)


def _files(folder: Path) -> Iterator[str]:
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in (*files, *links):
            yield os.path.relpath(os.path.join(parent, name), folder)
