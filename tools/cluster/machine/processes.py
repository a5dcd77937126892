"""The cluster's processes on the host: started in the background, remembered in files, ended by identity."""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from tools.cluster.machine.layout import LOGS, RUN
from tools.cluster.machine.shell import ProcessDiedError

_RECORDS = RUN / "processes"


def start(name: str, command: Sequence[str | Path], **environment: str) -> None:
    """Start ``command`` unless it runs; its output goes to the log ``name``, ``environment`` is added to ours."""
    if running(name):
        return
    for folder in (_RECORDS, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    words = [str(word) for word in command]
    streams = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, LOGS / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    number = os.posix_spawnp(words[0], words, {**os.environ, **environment}, file_actions=streams, setsid=True)
    record = f"{number} {_started(number)}"
    (_RECORDS / name).write_text(record, encoding="utf-8")


def running(name: str) -> bool:
    """Whether the process that was started as ``name`` still lives: it, not another that got its id."""
    return _identity(name) is not None


def names() -> list[str]:
    """List every recorded process of this cluster, running or not."""
    return sorted(path.name for path in _RECORDS.glob("*"))


def pid(name: str) -> int | None:
    """Return the process id while the process lives."""
    return _identity(name)


def check(name: str) -> None:
    """Raise a ProcessDiedError with the end of its log if the process has died."""
    if not running(name):
        log = LOGS / f"{name}.log"
        end = log.read_text(encoding="utf-8", errors="replace")[-2000:] if log.exists() else ""
        raise ProcessDiedError(f"{name} is not running; the end of {log}:\n{end}")


def stop(name: str, seconds: float = 5) -> None:
    """End the process: asked first, killed after ``seconds``."""
    number = _identity(name)
    if number is not None:
        os.kill(number, signal.SIGTERM if seconds else signal.SIGKILL)
        deadline = time.monotonic() + seconds
        while _identity(name) is not None and time.monotonic() < deadline:
            time.sleep(0.05)
        if _identity(name) is not None:
            os.kill(number, signal.SIGKILL)
            while _identity(name) is not None:
                time.sleep(0.02)
    (_RECORDS / name).unlink(missing_ok=True)


def _identity(name: str) -> int | None:
    try:
        number, started = (_RECORDS / name).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    return int(number) if _started(int(number)) == started else None


def _started(number: int) -> str:
    """Return the tick at which a living process began (field 22 of /proc/PID/stat); empty for none and a zombie."""
    try:
        fields = Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
