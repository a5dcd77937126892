"""The program as a process, on folders of a test."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from switchyard.repository.status import ModelStatus, StatusFile

DEADLINE_SECONDS = 120.0


class Program:
    """``python -m switchyard.sync`` with its folders below ``root``; use it as a context, or start and stop it."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.source = root / "incoming"
        self.published = root / "published"
        self.source.mkdir(exist_ok=True)
        self.log = root / "sync.log"
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Program":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        command = [sys.executable, "-m", "switchyard.sync", "--source", str(self.source)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--published", str(self.published), *self._arguments], stdout=log, stderr=log
            )

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        assert self._process
        self._process.send_signal(number)
        try:
            return self._process.wait(DEADLINE_SECONDS)
        finally:
            self._process.kill()

    def exit_code(self) -> int:
        """Wait until it ends by itself."""
        assert self._process
        return self._process.wait(DEADLINE_SECONDS)

    def status(self, name: str) -> ModelStatus | None:
        """Return what is said of the folder of this name; most tests have no two."""
        return next((status for status in self.statuses() if status.name == name), None)

    def statuses(self) -> tuple[ModelStatus, ...]:
        return StatusFile(self.published).current().models

    def wait(self, what: Callable[[], object], *, pause: float = 0.02, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until ``what`` is true."""
        deadline = time.monotonic() + seconds
        while not what():
            assert self._process
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            time.sleep(pause)

    def wait_for(self, name: str, phase: str, *, other_than: str = "") -> ModelStatus:
        """Wait until a model is in a phase, with another content than the digest ``other_than``; return its status."""

        def is_there() -> bool:
            status = self.status(name)
            return status is not None and status.phase == phase and (not other_than or status.digest != other_than)

        self.wait(is_there)
        status = self.status(name)
        assert status
        return status

    def target(self, group: str, name: str) -> str | None:
        """Return where the link of a model leads; None if there is none."""
        link = self.published / group / name
        return os.readlink(link) if link.is_symlink() else None
