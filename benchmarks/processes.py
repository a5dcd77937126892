"""Processes under measurement: their CPU time and memory, with everything that they started."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], what: str, seconds: float = 300.0) -> None:
    """Polls until ``condition`` holds.

    Raises:
        TimeoutError: it never did.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False


class Tree:
    """A process and all of its descendants."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def pids(self) -> list[int]:
        try:
            return [self.pid, *[child.pid for child in psutil.Process(self.pid).children(recursive=True)]]
        except psutil.NoSuchProcess:
            return [self.pid]

    def cpu_ms(self) -> float:
        """Time on a processor so far, in milliseconds (schedstat counts nanoseconds; psutil has hundredths)."""
        total = 0
        for pid in self.pids():
            for task in _list(Path(f"/proc/{pid}/task")):
                total += _first_number(task / "schedstat")
        return total / 1e6

    def pss_mb(self) -> float:
        """Memory with shared pages divided among their users, in megabytes."""
        return sum(_pss(pid) for pid in self.pids()) / 2**20


class Command:
    """One program, its output in a log file, ended with everything that it started."""

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.log = log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                argv, stdout=out, stderr=out, env={**os.environ, **(env or {})}, start_new_session=True, cwd=ROOT
            )
        self.tree = Tree(self._process.pid)

    def wait_for(self, url: str) -> None:
        def there() -> bool:
            if self.ended:
                raise RuntimeError(f"it ended; its log:\n{self.log.read_text()[-3000:]}")
            return answers(url)

        wait_for(there, url)

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        pids = self.tree.pids()
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue


def _list(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _first_number(path: Path) -> int:
    try:
        return int(path.read_text().split()[0])
    except (OSError, IndexError):
        return 0


def _pss(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_full_info().pss)
    except psutil.Error:
        return 0
