"""Files that were fetched before, kept on this machine by their SHA-256 and shared read-only between models."""

import hashlib
import logging
import os
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

from switchyard.repository.sources.remote import RemoteFile
from switchyard.repository.sources.uri import base_of

_LEAST = 1 << 20  # bytes; smaller files are fetched as fast as they are found

logger = logging.getLogger(__name__)


class WeightCache:
    """A folder of at most ``most`` bytes; what was not used for longest goes first.

    A content is one file with several names: its SHA-256, and a name for each place where it was fetched from. Models
    have hard links to it, so it is there once, and goes on for them when it leaves the cache. All of it is read-only,
    as an edit in place would reach every model that has it. On a file system of its own the cache is not used.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def take(self, uri: str, file: RemoteFile, target: Path) -> bool:
        """Put ``file`` of ``uri`` at ``target`` if it is here; return whether it was."""
        checksum = file.checksum
        names = [_place(uri, file), *([checksum.value] if checksum and checksum.algorithm == "sha256" else ())]
        with self._lock:
            for entry in (self._folder / name for name in names):
                with suppress(OSError):
                    found = entry.stat()
                    if found.st_size != file.size:
                        continue
                    os.link(entry, target)
                    # The time of its last use. That of its content stays, since watchers see a change by it.
                    os.utime(entry, ns=(time.time_ns(), found.st_mtime_ns))
                    return True
        return False

    def add(self, uri: str, file: RemoteFile, path: Path) -> None:
        """Keep the file at ``path``, which was fetched and checked, and is not changed any more."""
        if not _LEAST <= file.size <= self._most:
            return
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        with self._lock:
            try:
                self._make_room(file.size)
                for entry in (self._folder / digest, self._folder / _place(uri, file)):
                    entry.unlink(missing_ok=True)
                    os.link(path, entry)
                os.utime(path, ns=(time.time_ns(), path.stat().st_mtime_ns))
            except OSError as err:
                logger.warning("a fetched file is not kept for others: %s", err.strerror, extra={"source": uri})

    def _make_room(self, size: int) -> None:
        """Remove the least recently used contents until ``size`` bytes fit."""
        names: defaultdict[int, list[Path]] = defaultdict(list)
        stats = {}
        for entry in self._folder.iterdir():
            found = entry.stat()
            names[found.st_ino].append(entry)
            stats[found.st_ino] = found
        there = sum(found.st_size for found in stats.values())
        for inode, found in sorted(stats.items(), key=lambda item: item[1].st_atime_ns):
            if there + size <= self._most:
                break
            for entry in names[inode]:
                entry.unlink()
            there -= found.st_size


def _place(uri: str, file: RemoteFile) -> str:
    """Return the name of a file as one place has it: the same ETag there is the same content."""
    text = f"{base_of(uri)}\0{file.key}\0{file.size}\0{file.etag}"
    return f"at-{hashlib.sha256(text.encode()).hexdigest()}"
