"""Copies files into a folder of the same program, and makes sure that they are what was judged."""

import errno
import hashlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path

_STEP_BYTES = 16 << 20  # between two looks at whether to go on
_NOT_HERE = frozenset((errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM))


class ChangedError(Exception):
    """A file is not what was judged any more."""


class StoppedError(Exception):
    """The copy was given up because the program ends."""


def copy_files(source: Path, target: Path, files: Mapping[str, str], stopped: Callable[[], bool]) -> None:
    """Copy files by path, whose SHA-256 in hexadecimal ``files`` has, and write them to the disk.

    Raises:
        ChangedError: one of them is missing or has another content.
        StoppedError: ``stopped`` returned True.
        OSError: one cannot be read or written.
    """
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for path, digest in files.items():
            _copy(root, path, target / path, digest, stopped)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise ChangedError(str(err)) from err
    except OSError as err:
        if err.errno == errno.ELOOP:  # a link now
            raise ChangedError(str(err)) from err
        raise
    finally:
        os.close(root)


def sync_folder(folder: Path) -> None:
    """Write the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _copy(root: int, path: str, target: Path, digest: str, stopped: Callable[[], bool]) -> None:
    source = _open_below(root, path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb+") as copied:
            while _copy_some(source, copied.fileno()):
                if stopped():
                    raise StoppedError
            # The copy is read again, not the source: what counts is what engines will read.
            copied.seek(0)
            whole = hashlib.sha256()
            while some := copied.read(_STEP_BYTES):
                whole.update(some)
                if stopped():
                    raise StoppedError
            os.fsync(copied.fileno())
    finally:
        os.close(source)
    if whole.hexdigest() != digest:
        raise ChangedError(f"{path} changed while it was copied")


def _open_below(root: int, path: str) -> int:
    """Open a file for reading, following no link on the way."""
    *folders, name = path.split("/")
    handle = os.dup(root)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=handle)
            os.close(handle)
            handle = inner
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    finally:
        os.close(handle)


def _copy_some(source: int, target: int) -> int:
    """Copy the next bytes; a file system that can shares them instead."""
    try:
        return os.copy_file_range(source, target, _STEP_BYTES)
    except OSError as err:
        if err.errno not in _NOT_HERE:  # it works only within some file systems
            raise
        some = os.read(source, _STEP_BYTES)
        view = memoryview(some)
        while view:
            view = view[os.write(target, view) :]
        return len(some)
