"""Folders of this machine as entries of a layer, and the bytecode of the Python files among them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.images.oci import Entry, ImageError


def walk(folder: Path, at: str) -> Iterator[Entry]:
    """Everything below ``folder``, placed below ``at``; links stay links, bytecode caches are left out."""
    for name in sorted(os.listdir(folder)):
        path, place = folder / name, f"{at}/{name}" if at else name
        if path.is_symlink():
            yield Entry(path=place, link=os.readlink(path))
        elif path.is_dir():
            if name != "__pycache__":
                yield Entry(path=place)
                yield from walk(path, place)
        elif path.suffix != ".pyc":
            yield Entry(path=place, source=path)


def with_bytecode(entries: Iterable[Entry], stage: Path) -> list[Entry]:
    """``entries`` and the bytecode of their Python files, which is made in ``stage``; empty that afterwards.

    The bytecode is trusted whatever the time of its source, because files of an image have none: else Python would
    compile everything again at each start, as the file system is read-only. Files that are no valid Python get none.

    Raises:
        ImageError: the compiler does not run.
    """
    kept = list(entries)
    shutil.rmtree(stage, ignore_errors=True)
    for entry in kept:
        if entry.path.endswith(".py") and (entry.source or entry.content is not None):
            _place(entry, stage / entry.path)
    command = [sys.executable, "-I", "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    done = subprocess.run(
        [*command, "-s", str(stage), "-p", "/", str(stage)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={"PYTHONHASHSEED": "0"},  # the order of sets of constants is part of the bytecode
        check=False,
    )
    if done.returncode not in (0, 1):  # 1: some file is no Python, which templates and tests of packages are
        raise ImageError(f"compileall failed: {done.stderr.strip()[-1000:]}")
    made = [Entry(path=str(path.relative_to(stage)), source=path, mode=0o644) for path in sorted(stage.rglob("*.pyc"))]
    return kept + made


def _place(entry: Entry, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if entry.source is None:
        path.write_bytes(entry.content or b"")
        return
    try:
        path.hardlink_to(entry.source)
    except OSError:  # another file system
        shutil.copyfile(entry.source, path)
