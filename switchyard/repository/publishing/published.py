"""The tree that engines read: one atomic symbolic link per model, to files that never change once it leads to them.

Below the root::

    <group>/<name>                      -> ../.objects/<group>/<name>/<digest>
    .objects/<group>/<name>/<digest>/       the files of one content, read-only
    .objects/<group>/<name>/<digest>.json   what is known of it
    .objects/files/<SHA-256>                large files, which equal ones of other contents are links to
    .staging/                               copies that are made and judged

The links are the truth: what a killed process left behind is found and finished, or removed, by ``recover``.
"""

import contextlib
import json
import logging
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from switchyard.repository.folder import Listing, Manifest
from switchyard.repository.publishing.copying import ChangedError, StoppedError, copy_files
from switchyard.repository.publishing.lock import TreeLock
from switchyard.repository.publishing.objects import (
    Stamps,
    finish,
    marks_of,
    object_digest,
    remove,
    stamps_from,
    stamps_of,
    sync,
    verified,
)
from switchyard.repository.publishing.sharing import forget, share
from switchyard.repository.served import OBJECTS, ServedFile
from switchyard.repository.signature import SIGNATURE, UNCHECKED, SignaturePolicy
from switchyard.repository.status import facts_of
from switchyard.repository.verdict import Facts, Group

STAGING = ".staging"
GRACE_SECONDS = 60.0  # an engine that read the link before the last switch has opened its files by then
_FILES = "files"  # of a record: the stamps of what is published
_SPARE_BYTES = 64 << 20  # left free on the disk: logs and databases of others are on it, too

logger = logging.getLogger(__name__)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Staged:
    """A copy that nobody but its judge reads yet; ``files`` tells whether it was written to since."""

    folder: Path
    files: Mapping[str, tuple[int, ...]]


class Published:
    """Publishes folders below ``root``; one process at a time may."""

    def __init__(self, root: Path, *, grace_seconds: float = GRACE_SECONDS) -> None:
        self._root = root
        self._grace = grace_seconds
        self._served = ServedFile(root)
        self._switching = threading.Lock()  # copies go on beside each other, in threads
        self._lock = TreeLock(root)

    def recover(self, signatures: SignaturePolicy = UNCHECKED) -> list[Generation]:
        """Remove what a killed process left behind, and what no trusted key vouches for; return what is published.

        Raises:
            PublishedError: another process publishes below the same root.
            OSError: the tree cannot be made.
        """
        for group in get_args(Group):
            (self._root / group).mkdir(parents=True, exist_ok=True)
        self._lock.hold()
        remove(self._root / STAGING)
        (self._root / STAGING).mkdir()
        (self._root / OBJECTS).mkdir(exist_ok=True)
        found = []
        for link in list(self._links()):
            generation = self._read(link)
            if generation and self._is_usable(link.parent / os.readlink(link), generation.facts, signatures):
                found.append(generation)
            else:
                link.unlink()
        for service, folder in self._served.folders().items():
            facts = self._served.facts(service)
            if not (facts and self._is_usable(folder, facts, signatures)):
                remove(folder)
        self.collect()
        return found

    def close(self) -> None:
        """Let another process publish."""
        self._lock.release()

    def current(self, group: Group, name: str) -> Generation | None:
        """Return what is published under a name."""
        return self._read(self._root / group / name)

    def stage(
        self, folder: Path, listing: Listing, *, name: str, stopped: Callable[[], bool] = lambda: False
    ) -> Staged:
        """Copy what was listed of a folder, so that what is judged is what is published; ``discard`` removes the copy.

        Raises:
            ChangedError: the folder is not what was listed any more.
            SpaceError: the disk is too full.
            StoppedError: ``stopped`` returned True.
            OSError: a file cannot be read or written.
        """
        self._require_space(listing.bytes)

        def go_on() -> None:
            if stopped():
                raise StoppedError
            self._require_space(0)

        staged = self._root / STAGING / uuid.uuid4().hex / name  # some formats want the folder to have the name
        try:
            staged.mkdir(parents=True)
            copy_files(folder, staged, listing, go_on)
        except BaseException:
            remove(staged.parent)
            raise
        return Staged(folder=staged, files=marks_of(staged))

    def discard(self, staged: Staged) -> None:
        """Remove what is left of a copy."""
        remove(staged.folder.parent)

    def publish(self, staged: Staged, manifest: Manifest, facts: Facts, *, group: Group, name: str) -> Generation:
        """Switch the link to a copy, which was judged with this manifest.

        Raises:
            ChangedError: the copy was written to since it was made.
            OSError: a file cannot be read or written.
        """
        if marks_of(staged.folder) != staged.files:
            raise ChangedError("the copy was written to while it was judged")
        digest = object_digest(manifest, facts)
        target = self._object(group, name, digest)
        with self._switching:
            if stamps := self._verified(target):
                return self._switch(group, name, digest, facts, stamps)
        share(staged.folder, manifest.files, self._root / OBJECTS)
        finish(staged.folder, facts)
        digests = {path: sha for path, sha in manifest.files.items() if not (facts.config and path == "config.pbtxt")}
        stamps = stamps_of(staged.folder, digests)
        with self._switching:
            if target.is_dir():  # one that was written to
                os.rename(target, staged.folder.with_name(".replaced"))
            # A folder among the objects is complete: it is renamed when all of it is on the disk.
            os.rename(staged.folder, target)
            return self._switch(group, name, digest, facts, stamps)

    def unpublish(self, group: Group, name: str) -> None:
        """Remove the link; its files stay for the time that an engine may take to let go of them."""
        with contextlib.suppress(FileNotFoundError):
            (self._root / group / name).unlink()
            sync(self._root / group)
        with contextlib.suppress(FileNotFoundError):
            os.utime(self._root / OBJECTS / group / name)

    def collect(self) -> None:
        """Remove files that are not published, nor the generation before, nor what serves, once the grace is over."""
        for group in get_args(Group):
            folder = self._root / OBJECTS / group
            for objects in list(folder.iterdir()) if folder.is_dir() else ():
                with self._switching:
                    self._collect(group, objects)
        forget(self._root / OBJECTS)

    def _collect(self, group: Group, objects: Path) -> None:
        link = self._root / group / objects.name
        current = self._read(link)
        changed = os.lstat(link).st_mtime if current else objects.stat().st_mtime
        if time.time() < changed + self._grace:
            return
        kept = {current.digest, current.previous, *self._served.digests(objects)} if current else set()
        for entry in list(objects.iterdir()):
            if entry.name.removesuffix(".json") not in kept:
                remove(entry)
        if not kept:
            objects.rmdir()

    def _switch(self, group: Group, name: str, digest: str, facts: Facts, stamps: Stamps) -> Generation:
        """Write the record, then the link: a link always leads to files that are known."""
        current = self.current(group, name)
        previous = "" if current is None else current.previous if current.digest == digest else current.digest
        generation = Generation(group=group, name=name, digest=digest, facts=facts, previous=previous)
        record = self._object(group, name, f"{digest}.json")
        sync(record.parent)
        self._record(record, {**asdict(generation), _FILES: stamps})
        if current is None or current.digest != digest:
            for version in facts.versions:  # Triton loads anew only what is newer than all that it loaded
                os.utime(record.with_suffix("") / version)
            link = self._root / group / name
            staged = self._root / STAGING / uuid.uuid4().hex
            os.symlink(f"../{OBJECTS}/{group}/{name}/{digest}", staged)
            os.replace(staged, link)
            sync(link.parent)
        return generation

    def _record(self, path: Path, row: Mapping[str, Any]) -> None:
        staged = self._root / STAGING / uuid.uuid4().hex
        staged.write_text(json.dumps(row))
        sync(staged)
        os.replace(staged, path)
        sync(path.parent)

    def _verified(self, target: Path) -> Stamps | None:
        """Return the stamps of an object whose files are what was published; None of one that is not, or not there."""
        record = target.with_name(f"{target.name}.json")
        try:
            row = json.loads(record.read_text())
            stamps = stamps_from(row[_FILES])
            found = verified(target, stamps) if target.is_dir() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if found and found != stamps:  # touched, or on another disk now: the next start needs not read it again
            self._record(record, {**row, _FILES: found})
        return found

    def _is_usable(self, target: Path, facts: Facts, signatures: SignaturePolicy) -> bool:
        if not self._verified(target):
            reason = "was written to where it is published"
        elif not signatures.trusts(facts, has_signature=(target / SIGNATURE).is_file()):
            reason = "is not signed by a key that is trusted now"
        else:
            return True
        logger.error("%s %s: its folder is judged again", target.parent.name, reason)
        return False

    def _object(self, group: Group, name: str, entry: str) -> Path:
        objects = self._root / OBJECTS / group / name
        objects.mkdir(parents=True, exist_ok=True)
        return objects / entry

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
            record.pop(_FILES, None)
            if not link.is_dir():
                return None
            return Generation(**{**record, "facts": facts_of(record["facts"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
