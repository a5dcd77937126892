"""Copies the files of a folder that was listed, and no byte more than that."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from switchyard.repository.folder import File, Listing, stamp_of

_STEP_BYTES = 16 << 20  # between two looks at whether to go on
_NOT_HERE = frozenset((errno.EXDEV, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS, errno.EPERM))


class ChangedError(Exception):
    """A file is not what was listed, or judged, any more."""


class StoppedError(Exception):
    """The copy was given up because the program ends."""


def copy_files(source: Path, target: Path, listing: Listing, go_on: Callable[[], None]) -> None:
    """Copy what was listed; ``go_on`` is called before every 16 MiB, and ends the copy by what it raises.

    Raises:
        ChangedError: a file is missing, or was written to since it was listed.
        OSError: one cannot be read or written.
    """
    root = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for path in listing.folders:  # an ensemble's version is an empty one
            (target / path).mkdir(parents=True, exist_ok=True)
        for file in listing.files:
            _copy(root, file, target / file.path, go_on)
    except (FileNotFoundError, NotADirectoryError) as err:
        raise ChangedError(str(err)) from err
    except OSError as err:
        if err.errno == errno.ELOOP:  # a link now
            raise ChangedError(str(err)) from err
        raise
    finally:
        os.close(root)


def _copy(root: int, file: File, target: Path, go_on: Callable[[], None]) -> None:
    source = _open_below(root, file.path)
    try:
        _require_unchanged(source, file)
        with target.open("xb") as copied:
            left = file.size
            while left:
                go_on()
                some = _copy_some(source, copied.fileno(), min(left, _STEP_BYTES))
                if not some:
                    break
                left -= some
        _require_unchanged(source, file)
    finally:
        os.close(source)


def _require_unchanged(source: int, file: File) -> None:
    found = os.fstat(source)
    if (found.st_size, stamp_of(found)) != (file.size, file.stamp):
        raise ChangedError(f"{file.path} changed while it was copied")


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


def _copy_some(source: int, target: int, most: int) -> int:
    """Copy the next bytes; a file system that can shares them instead."""
    try:
        return os.copy_file_range(source, target, most)
    except OSError as err:
        if err.errno not in _NOT_HERE:  # it works only within some file systems
            raise
        some = os.read(source, most)
        view = memoryview(some)
        while view:
            view = view[os.write(target, view) :]
        return len(some)
