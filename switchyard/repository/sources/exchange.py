"""Puts a folder in another's place, so that whoever opens the path finds the old one or the new one, never none."""

import ctypes
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # renameat2(2)


def exchange(staged: Path, target: Path) -> None:
    """Rename ``staged`` to ``target``; what was there is then at ``staged``, if the file system can swap two names.

    One that cannot, such as NFS, has no ``target`` for a moment: the old one is moved to ``<staged>.old`` first.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.rename(staged, target)
    elif not _swap(staged, target):
        os.rename(target, staged.with_name(f"{staged.name}.old"))
        os.rename(staged, target)


def _swap(staged: Path, target: Path) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    return bool(
        libc.renameat2(_AT_FDCWD, os.fsencode(staged), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(_RENAME_EXCHANGE))
        == 0
    )
