"""Bounds the logs of a run: a long one is set aside once, in place of what was set aside before."""

import asyncio
import logging
import os
import shutil
from pathlib import Path

# Some 80 000 lines of requests, of 400 bytes; with what is set aside, 64 MiB of each process and of each run kept.
MOST_BYTES = 32 * 1024 * 1024
_SECONDS = 5.0  # between looks: what is written in them goes beyond the bound

logger = logging.getLogger(__name__)


async def bound(folder: Path) -> None:
    """Keep the logs in ``folder`` within ``MOST_BYTES``, until cancelled."""
    while True:
        await asyncio.sleep(_SECONDS)
        await asyncio.to_thread(_look, folder)


def _look(folder: Path) -> None:
    for path in folder.glob("*.log"):
        try:
            if path.stat().st_size > MOST_BYTES:
                set_aside(path)
        except OSError as err:
            logger.warning("a log cannot be set aside: %s", err, extra={"file": path.name})


def aside(path: Path) -> Path:
    """Return where the earlier part of the log at ``path`` is, if it was long."""
    return path.with_name(f"{path.name}.1")


def set_aside(path: Path) -> None:
    """Copy a log to where its earlier part is kept, and empty it: its writers keep it open, and append.

    A line that is written between the last look and the cut is lost, as with any rotation by copying.
    """
    staged = path.with_name(f"{path.name}.new")
    with path.open("rb+") as log, staged.open("wb") as copy:
        os.fchmod(copy.fileno(), os.fstat(log.fileno()).st_mode & 0o777)
        shutil.copyfileobj(log, copy, 1024 * 1024)
        staged.replace(aside(path))  # before the cut: whoever reads the log finds the rest there
        while rest := log.read():
            copy.write(rest)
            copy.flush()
        os.ftruncate(log.fileno(), 0)
