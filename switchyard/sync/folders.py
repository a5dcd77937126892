"""The folders that people and downloads put models into."""

import hashlib
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

from switchyard.repository.folder import Listing, list_files
from switchyard.repository.names import quoted
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import FaultCode, Group

MOST_FOLDERS = 1000  # of a group that are followed: each is looked at every 30 s, and a row of every list
_MOST_NAMES = 3  # of folders that are left out


class ModelKey(NamedTuple):
    """Which model."""

    group: Group
    name: str

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """Folders to follow from now on; ``over_limit`` says of each group which are left out."""

    keys: list[ModelKey]
    over_limit: list[ModelStatus]


@dataclass(frozen=True, slots=True)
class Roots:
    """Folders with ``<group>/<name>/`` in them; of a model that two have, the first one's counts."""

    paths: tuple[Path, ...]

    def keys(self) -> set[ModelKey]:
        """Return all models.

        Raises:
            OSError: a root is not there or cannot be read, as when its volume is not mounted.
        """
        return {key for root in self.paths for key in _keys(root)}

    def select(self, followed: Collection[ModelKey]) -> Selection:
        """Return what is to be followed beside what is ``followed``, which stays: of a group the newest, if not all.

        Raises:
            OSError: a root is not there or cannot be read.
        """
        found, keys, over_limit = self.keys().difference(followed), [], []
        for group in get_args(Group):
            coming = [key for key in found if key.group == group]
            there = sum(key.group == group for key in followed)
            room = max(0, MOST_FOLDERS - there)
            if len(coming) > room:
                coming.sort(key=self._age)
                over_limit.append(self._limit_exceeded(group, there + room, coming[room:]))
            keys += coming[:room]
        return Selection(keys=keys, over_limit=over_limit)

    def _age(self, key: ModelKey) -> tuple[int, str]:
        """Return what sorts models by their last change, newest first, and then by name."""
        for root in self.paths:
            with suppress(OSError):  # ctime: a copy may keep the mtime of the original
                return -os.lstat(os.path.join(root, *key)).st_ctime_ns, key.name
        return 0, key.name

    def folder(self, key: ModelKey) -> Path | None:
        """Return where a model is; None if it is nowhere.

        Raises:
            OSError: a root is not there or cannot be read.
        """
        for root in self.paths:
            os.stat(root)
            folder = root / key.group / key.name
            if os.path.lexists(folder):
                return folder
        return None

    def touched(self, paths: Iterable[Path]) -> set[ModelKey | Group | None]:
        """Return the models that changed paths belong to, a group of which all may, and None where any may.

        What belongs to no model is left out, such as a README, or the hidden folder into which a download is fetched.
        """
        return {key for path in paths for key in self._touched(path)}

    def _limit_exceeded(self, group: Group, watched: int, left_out: list[ModelKey]) -> ModelStatus:
        place = f"{self.paths[0].name}/{group}"  # what no model can be called
        names = ", ".join(quoted(key.name) for key in left_out[:_MOST_NAMES])
        reason = (
            f"{place} has {watched + len(left_out)} folders, of which {watched} are looked at; the newest that are "
            f"left out: {names}. Remove folders that are no models; others take their places, the newest first."
        )
        return ModelStatus(group=group, name=place, phase="failed", reason=reason, code=FaultCode.TOO_LARGE)

    def _touched(self, path: Path) -> Iterator[ModelKey | Group | None]:
        root = next((root for root in self.paths if path.is_relative_to(root)), None)
        if root is None or path == root:
            yield None
            return
        first, *below = path.relative_to(root).parts
        for group in get_args(Group):
            if first == group and not below:
                yield group
            elif first == group and not below[0].startswith("."):
                yield ModelKey(group, below[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class Look:
    """A folder at one moment; ``stamp`` is another one after every change of a file."""

    listing: Listing
    stamp: str

    @property
    def age(self) -> float:
        """Return the seconds since a file of it changed, which is not known of files that are removed."""
        # ctime: it is this system's clock, whereas a copy may keep the mtime of the original.
        return time.time() - max((file.stamp[2] for file in self.listing.files), default=time.time_ns()) / 1e9


def look(folder: Path, group: Group) -> Look:
    """Look at a folder without reading its files."""
    listing = list_files(folder, group, beginnings=False)
    whole = hashlib.sha256()
    for part in (*listing.files, *listing.faults, *listing.folders):  # an ensemble needs an empty one
        whole.update(f"{part!r}\n".encode(errors="surrogatepass"))
    return Look(listing=listing, stamp=whole.hexdigest())


def _keys(root: Path) -> Iterator[ModelKey]:
    os.listdir(root)
    for group in get_args(Group):
        try:
            entries = list(os.scandir(root / group))
        except FileNotFoundError:
            continue
        for entry in entries:
            # A file such as a README lies beside models; a link is one that is told to be a copy.
            if not entry.name.startswith(".") and (entry.is_symlink() or entry.is_dir()):
                yield ModelKey(group, entry.name)
