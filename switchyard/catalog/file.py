"""A catalog in a file."""

import os
from pathlib import Path

from switchyard.catalog.models import Catalog


class CatalogFile:
    """A catalog in a file that local mode replaces as a whole at every change; it is read again when it changed.

    ``current`` raises OSError for a file that is not there; one that was there stands for itself until the next.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._catalog = Catalog({})

    def current(self) -> Catalog:
        try:
            stat = os.stat(self._path)
        except FileNotFoundError:
            if self._stamp is None:
                raise
            return self._catalog
        stamp = (stat.st_mtime_ns, stat.st_ino)  # the inode too: two replacements may share a clock tick
        if stamp != self._stamp:
            self._catalog = Catalog.loads(self._path.read_text())
            self._stamp = stamp
        return self._catalog

    def replace(self, catalog: Catalog) -> None:
        """Write ``catalog`` atomically: a reader sees the old one or the new one."""
        staged = self._path.with_suffix(".new")
        staged.write_text(catalog.dumps())
        os.replace(staged, self._path)
