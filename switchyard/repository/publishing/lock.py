"""One process at a time publishes below a root."""

import fcntl
import os
from pathlib import Path

LOCK = ".lock"


class PublishedError(Exception):
    """The tree cannot be used; the message says why and what to do."""


class TreeLock:
    """A lock on the tree below ``root``, held until ``release`` or the end of the process, however it ends."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Take the lock.

        Raises:
            PublishedError: another process has it.
        """
        self._descriptor = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as err:
            self.release()
            raise PublishedError(f"{self._root} is published by another process: stop that one first.") from err

    def release(self) -> None:
        """Let another process publish."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
