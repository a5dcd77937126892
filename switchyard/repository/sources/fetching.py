"""Fetches what a source lists into a folder: whole and checked, or not at all; a killed fetch goes on where it was.

Beside the target is a staging folder of the same file system::

    .<name>.fetching/
      files/<id>         a complete file, checked; its id is a digest of its path, size, ETag and checksum
      files/<id>.part    the bytes that came so far
      tree/              the whole, with its origin; swapped with the target in one rename

Because files are found by what they are, a new listing keeps every file that did not change.
"""

import fcntl
import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from switchyard.backoff import Backoff
from switchyard.repository.names import quoted
from switchyard.repository.sources.checksums import digest
from switchyard.repository.sources.exchange import exchange
from switchyard.repository.sources.listing import checked
from switchyard.repository.sources.origin import Origin
from switchyard.repository.sources.remote import (
    NoSpaceError,
    Remote,
    RemoteFile,
    Source,
    SourceChangedError,
    SourceError,
    StoppedError,
)

RESERVE = 64 << 20  # bytes of the disk that stay free: status files and logs are written beside the models
_AT_ONCE = 4  # files: one connection to a store rarely fills the network, many are throttled
_ATTEMPTS = 6  # in a row without a new byte; about 30 s with their pauses
_PAUSES = Backoff(first=0.5, most=15.0)
_REPORTS_PER_SECOND = 5

Progress = Callable[[int, int], None]


class Cache(Protocol):
    """Files that were fetched before, by their checksums."""

    def take(self, uri: str, file: RemoteFile, target: Path) -> bool: ...

    def add(self, uri: str, file: RemoteFile, path: Path) -> None: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How long a file is tried for; ``attempts`` are those in a row that brought no byte."""

    attempts: int = _ATTEMPTS
    backoff: Backoff = _PAUSES


_PATIENCE = Patience()


def fetch(
    source: Source,
    remote: Remote,
    target: Path,
    *,
    on_progress: Progress = lambda done, total: None,
    stop: threading.Event | None = None,
    cache: Cache | None = None,
    patience: Patience = Patience(),
) -> None:
    """Replace the folder ``target`` by the files of ``remote``, in one rename, once all are there and checked.

    ``on_progress`` is called with the bytes that are there and all bytes, a few times a second, from several threads
    but never at once.

    Raises:
        NoSpaceError: the disk has no room for them.
        SourceChangedError: the source has other files by now.
        SourceError: a name or size is not taken, a file cannot be fetched, or is not what its checksum says.
    """
    remote = replace(remote, files=checked(remote.uri, remote.files))
    staging = staging_folder(target)
    wanted = Origin.of(remote)
    with _locked(staging):
        tree = staging / "tree"
        if Origin.read(target) != wanted:
            if Origin.read(tree) != wanted:
                job = _Job(source, remote, staging, on_progress, stop or threading.Event(), cache, patience)
                job.discard_others()
                job.check_space()
                job.fetch_all()
                job.link_tree(tree)
            # Before the swap, as a link that goes away is seen as a change of the file.
            shutil.rmtree(staging / "files", ignore_errors=True)
            exchange(tree, target)
        shutil.rmtree(staging, ignore_errors=True)
    on_progress(remote.size, remote.size)


def staging_folder(target: Path) -> Path:
    """Return where the files of ``target`` are while they are fetched; its name begins with a dot."""
    return target.with_name(f".{target.name}.fetching")


class _Job:
    def __init__(
        self,
        source: Source,
        remote: Remote,
        staging: Path,
        on_progress: Progress,
        stop: threading.Event,
        cache: Cache | None,
        patience: Patience,
    ) -> None:
        self._source = source
        self._remote = remote
        self._staging = staging
        self._stop = stop
        self._cache = cache
        self._patience = patience
        self._files = staging / "files"
        self._files.mkdir(parents=True, exist_ok=True)
        self._progress = _Counter(remote.size, on_progress)

    def discard_others(self) -> None:
        """Remove what an older listing left."""
        kept = {name for file in self._remote.files for name in (_id(file), f"{_id(file)}.part")}
        for path in self._files.iterdir():
            if path.name not in kept:
                path.unlink()

    def check_space(self) -> None:
        """Raise a NoSpaceError unless the files that are still missing fit the disk."""
        there = sum(path.stat().st_size for path in self._files.iterdir())
        missing = max(0, self._remote.size - there)
        disk = os.statvfs(self._files)
        free = disk.f_bavail * disk.f_frsize
        if missing + RESERVE > free:
            raise NoSpaceError(
                f"{self._remote.uri} needs {missing:,} bytes more, but the disk of the model repository has {free:,} "
                f"bytes free, of which {RESERVE:,} stay free: make room for {missing + RESERVE - free:,} bytes"
            )

    def fetch_all(self) -> None:
        """Fetch every file that is not there, a few at a time."""
        failed = threading.Event()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch") as pool:
            futures = [pool.submit(self._fetch, file, failed) for file in self._remote.files]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                failed.set()
                for future in futures:
                    future.cancel()
        errors = [future.exception() for future in futures if not future.cancelled()]
        # The others stopped because of the first one, so theirs says nothing.
        for error in sorted(filter(None, errors), key=lambda error: isinstance(error, StoppedError)):
            raise error

    def link_tree(self, tree: Path) -> None:
        """Make ``tree`` of the complete files; its origin is written last and says that it is whole."""
        shutil.rmtree(tree, ignore_errors=True)
        for file in self._remote.files:
            place = tree / file.path
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(self._files / _id(file), place)
            except OSError:  # a file system without hard links
                os.replace(self._files / _id(file), place)
        Origin.of(self._remote).write(tree)

    def _fetch(self, file: RemoteFile, failed: threading.Event) -> None:
        complete = self._files / _id(file)
        if complete.exists() or (self._cache and self._cache.take(self._remote.uri, file, complete)):
            self._progress.add(file.size)
            return
        part = complete.with_name(f"{complete.name}.part")
        self._receive(file, part, failed)
        self._check(file, part)
        part.chmod(0o444)
        os.replace(part, complete)
        if self._cache:
            self._cache.add(self._remote.uri, file, complete)

    def _receive(self, file: RemoteFile, part: Path, failed: threading.Event) -> None:
        """Append to ``part`` until it has all bytes."""
        if part.exists() and part.stat().st_size > file.size:
            part.unlink()
        failures = 0
        with part.open("ab") as output:
            self._progress.add(output.tell())
            while (there := output.tell()) < file.size:
                try:
                    self._append(file, output, failed)
                except SourceError as err:
                    failures = 1 if output.tell() > there else failures + 1
                    if not err.transient or failures >= self._patience.attempts:
                        raise
                    self._stop.wait(self._patience.backoff.pause(failures))
                except OSError as err:
                    raise SourceError(f"{self._name(file)} cannot be written: {err.strerror}") from None
            output.flush()
            os.fsync(output.fileno())

    def _append(self, file: RemoteFile, output: BinaryIO, failed: threading.Event) -> None:
        there = output.tell()
        for chunk in self._source.read(file, there):
            if self._stop.is_set() or failed.is_set():
                raise StoppedError(f"The fetch of {self._remote.uri} was stopped")
            there += len(chunk)
            if there > file.size:
                raise SourceChangedError(f"{self._name(file)} has more than the {file.size:,} bytes that were listed")
            output.write(chunk)
            self._progress.add(len(chunk))
        if there < file.size:
            raise SourceError(f"{self._name(file)} ended after {there:,} of {file.size:,} bytes", transient=True)

    def _check(self, file: RemoteFile, part: Path) -> None:
        checksum = self._source.checksum(file)
        if checksum is None:
            return
        found = digest(part, checksum)
        if found != checksum.value:
            part.unlink()
            self._progress.add(-file.size)
            raise SourceError(
                f"{self._name(file)} came with the {checksum.algorithm} {found}, but its store says {checksum.value}: "
                "it was damaged on the way or at the store; upload it again if this is said again",
                transient=True,
            )

    def _name(self, file: RemoteFile) -> str:
        return f"{self._remote.uri}: {quoted(file.path)}"


class _Counter:
    """The bytes that are there, reported a few times a second."""

    def __init__(self, total: int, on_progress: Progress) -> None:
        self._total = total
        self._on_progress = on_progress
        self._done = 0
        self._next = 0.0
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if (now := time.monotonic()) >= self._next:
                self._next = now + 1 / _REPORTS_PER_SECOND
                self._on_progress(self._done, self._total)


def _id(file: RemoteFile) -> str:
    checksum = f"{file.checksum.algorithm}:{file.checksum.value}" if file.checksum else ""
    return hashlib.sha256(f"{file.path}\0{file.size}\0{file.etag}\0{checksum}".encode()).hexdigest()


@contextmanager
def _locked(staging: Path) -> Iterator[None]:
    """Hold the staging folder: two fetches into one would append to the same files."""
    staging.mkdir(parents=True, exist_ok=True)
    handle = os.open(staging, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise SourceError(f"{staging.name} is in use: another fetch of this model runs", transient=True) from None
    finally:
        os.close(handle)
