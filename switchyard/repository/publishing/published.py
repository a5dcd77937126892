"""The tree that engines read: one atomic symbolic link per model, to files that never change once it leads to them.

Below the root::

    <group>/<name>                      -> ../.objects/<group>/<name>/<digest>
    .objects/<group>/<name>/<digest>/       the files of one content, read-only
    .objects/<group>/<name>/<digest>.json   what is known of it
    .staging/                               copies that are not complete

The links are the truth: what a killed process left behind is found and finished, or removed, by ``recover``.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from switchyard.repository.folder import Manifest
from switchyard.repository.publishing.copying import copy_files, sync_folder
from switchyard.repository.status import facts_of
from switchyard.repository.verdict import Facts, Group

OBJECTS, STAGING, LOCK = ".objects", ".staging", ".lock"
GRACE_SECONDS = 60.0  # an engine that read the link before the last switch has opened its files by then
_SPARE_BYTES = 64 << 20  # left free on the disk: logs and databases of others are on it, too


class PublishedError(Exception):
    """The tree cannot be used; the message says why and what to do."""


class SpaceError(Exception):
    """The disk is too full for a copy; the message has the numbers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Generation:
    """One content of a model that is, or was, published; ``digest`` names its folder below ``.objects``.

    ``previous`` is the digest of what it replaced, which is kept until the next switch.
    """

    group: Group
    name: str
    digest: str
    facts: Facts
    previous: str = ""


class Published:
    """Publishes folders below ``root``; one process at a time may."""

    def __init__(self, root: Path, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self._root = root
        self._grace = grace_seconds
        self._switching = threading.Lock()  # copies go on beside each other, in threads
        self._lock: int | None = None

    def recover(self) -> list[Generation]:
        """Remove what a killed process left behind; return what is published.

        Raises:
            PublishedError: another process publishes below the same root.
            OSError: the tree cannot be made.
        """
        for group in get_args(Group):
            (self._root / group).mkdir(parents=True, exist_ok=True)
        self._require_alone()
        _remove(self._root / STAGING)
        (self._root / STAGING).mkdir()
        (self._root / OBJECTS).mkdir(exist_ok=True)
        found = []
        for link in list(self._links()):
            if generation := self._read(link):
                found.append(generation)
            else:  # nothing could be served from it
                link.unlink()
        self.collect()
        return found

    def close(self) -> None:
        """Let another process publish."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def current(self, group: Group, name: str) -> Generation | None:
        """Return what is published under a name."""
        return self._read(self._root / group / name)

    def publish(
        self,
        folder: Path,
        manifest: Manifest,
        facts: Facts,
        *,
        group: Group,
        name: str,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Generation:
        """Copy ``folder``, which was judged with this manifest, and switch the link to the copy.

        Raises:
            ChangedError: the folder is not what was judged any more.
            SpaceError: the disk is too full.
            StoppedError: ``stopped`` returned True.
            OSError: a file cannot be read or written.
        """
        digest = object_digest(manifest, facts)
        with self._switching:
            if self._object(group, name, digest).is_dir():
                return self._switch(group, name, digest, facts)
        staged = self._root / STAGING / uuid.uuid4().hex
        try:
            self._copy(folder, manifest, facts, staged, stopped)
            with self._switching:
                # A folder among the objects is complete: it is renamed when all of it is on the disk.
                os.rename(staged, self._object(group, name, digest))
                return self._switch(group, name, digest, facts)
        finally:
            _remove(staged)

    def unpublish(self, group: Group, name: str) -> None:
        """Remove the link; its files stay for the time that an engine may take to let go of them."""
        with contextlib.suppress(FileNotFoundError):
            (self._root / group / name).unlink()
            sync_folder(self._root / group)
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._root / OBJECTS / group / name)

    def collect(self) -> None:
        """Remove files that are neither published nor the generation before, once the grace is over."""
        for group in get_args(Group):
            folder = self._root / OBJECTS / group
            for objects in list(folder.iterdir()) if folder.is_dir() else ():
                with self._switching:
                    self._collect(group, objects)

    def _collect(self, group: Group, objects: Path) -> None:
        link = self._root / group / objects.name
        current = self._read(link)
        changed = os.lstat(link).st_mtime if current else objects.stat().st_mtime
        if time.time() < changed + self._grace:
            return
        kept = {current.digest, current.previous} if current else set()
        for entry in list(objects.iterdir()):
            if entry.name.removesuffix(".json") not in kept:
                _remove(entry)
        if not kept:
            objects.rmdir()

    def _copy(self, folder: Path, manifest: Manifest, facts: Facts, staged: Path, stopped: Callable[[], bool]) -> None:
        self._require_space(manifest.bytes)
        staged.mkdir()
        served = {path: digest for path, digest in manifest.files.items() if _is_served(path, facts)}
        copy_files(folder, staged, served, stopped)
        if facts.config:
            (staged / "config.pbtxt").unlink(missing_ok=True)
            _write(staged / "config.pbtxt", facts.config)
        for version in facts.versions:  # an ensemble's are empty folders, which no manifest has
            (staged / version).mkdir(exist_ok=True)
        _make_read_only(staged)

    def _switch(self, group: Group, name: str, digest: str, facts: Facts) -> Generation:
        """Write the record, then the link: a link always leads to files that are known."""
        current = self.current(group, name)
        previous = "" if current is None else current.previous if current.digest == digest else current.digest
        generation = Generation(group=group, name=name, digest=digest, facts=facts, previous=previous)
        staged = self._root / STAGING / uuid.uuid4().hex
        record = self._object(group, name, f"{digest}.json")
        sync_folder(record.parent)
        _write(staged, json.dumps(asdict(generation)))
        os.replace(staged, record)
        sync_folder(record.parent)
        if current is None or current.digest != digest:
            for version in facts.versions:  # Triton loads anew only what is newer than all that it loaded
                os.utime(record.with_suffix("") / version)
            link = self._root / group / name
            os.symlink(f"../{OBJECTS}/{group}/{name}/{digest}", staged)
            os.replace(staged, link)
            sync_folder(link.parent)
        return generation

    def _object(self, group: Group, name: str, entry: str) -> Path:
        objects = self._root / OBJECTS / group / name
        objects.mkdir(parents=True, exist_ok=True)
        return objects / entry

    def _require_alone(self) -> None:
        """Hold a lock on the tree until this process ends, however it ends."""
        self._lock = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            self.close()
            raise PublishedError(f"{self._root} is published by another process: stop that one first.") from err

    def _require_space(self, needed: int) -> None:
        free = shutil.disk_usage(self._root).free
        if free < needed + _SPARE_BYTES:
            raise SpaceError(
                f"The disk has {free / 1e6:.0f} MB free, and a copy of this model needs {needed / 1e6:.0f} MB and "
                f"{_SPARE_BYTES / 1e6:.0f} MB to spare: free space, then touch a file of the model."
            )

    def _links(self) -> Iterator[Path]:
        for group in get_args(Group):
            for entry in os.scandir(self._root / group):
                if entry.is_symlink():
                    yield Path(entry.path)

    def _read(self, link: Path) -> Generation | None:
        """Return what a link leads to; one that leads to nothing known is no link of this program, or half removed."""
        try:
            target = os.readlink(link)
            record = json.loads((link.parent / f"{target}.json").read_text())
            if not link.is_dir():
                return None
            return Generation(**{**record, "facts": facts_of(record["facts"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None


def object_digest(manifest: Manifest, facts: Facts) -> str:
    """Return what names the published files: the folder's own digest, unless something is added or left out."""
    left_out = [path for path in manifest.files if not _is_served(path, facts)]
    if not (facts.config or left_out):
        return manifest.digest
    return hashlib.sha256(json.dumps([manifest.digest, facts.config, sorted(left_out)]).encode()).hexdigest()


def _is_served(path: str, facts: Facts) -> bool:
    """Return whether a file is published: those of versions that are left out are not."""
    version, below, _ = path.partition("/")
    return not (facts.versions and below and version.isdecimal() and version not in facts.versions)


def _write(path: Path, text: str) -> None:
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _make_read_only(folder: Path) -> None:
    """Take the right to write from everybody; the folder itself is left, which its owner has yet to rename."""
    for parent, folders, files in os.walk(folder):
        for name in files:
            os.chmod(os.path.join(parent, name), 0o444)
        for name in folders:
            os.chmod(os.path.join(parent, name), 0o555)  # noqa: S103  (engines run as other users)
        sync_folder(Path(parent))


def _remove(path: Path) -> None:
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for parent, _, _ in os.walk(path):
        os.chmod(parent, 0o700)
    shutil.rmtree(path)
