"""The folders that people and downloads put models into."""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, get_args

from switchyard.repository.folder import Listing, list_files
from switchyard.repository.verdict import Group


class ModelKey(NamedTuple):
    """Which model."""

    group: Group
    name: str

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


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
