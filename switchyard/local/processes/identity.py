"""What the kernel says about processes: proc(5)."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

RUN_VARIABLE = "SWITCHYARD_RUN"

_PROC = Path("/proc")
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for good: its id and, because ids are reused, its start in clock ticks since boot."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return identify(self.pid) == self


def identify(pid: int) -> Identity | None:
    """The process that has this id now, None if there is none or only its zombie."""
    fields = _stat(pid)
    return Identity(pid, int(fields[19])) if fields and fields[0] not in ("Z", "X") else None


def session_of(pid: int) -> int | None:
    """The session that a process belongs to."""
    fields = _stat(pid)
    return int(fields[3]) if fields else None


def of_run(run: str) -> list[Identity]:
    """Every process that carries ``SWITCHYARD_RUN=run``, as all that a supervisor starts do, but this one."""
    mark = f"{RUN_VARIABLE}={run}".encode()
    found = (identify(pid) for pid in _pids() if pid != os.getpid() and mark in _environ(pid).split(b"\0"))
    return [identity for identity in found if identity]


def with_sessions(leaders: Iterable[Identity]) -> list[Identity]:
    """Those of ``leaders`` that still run, and everything in the sessions that they lead."""
    alive = [leader for leader in leaders if leader.alive()]
    sessions = {leader.pid for leader in alive} - {session_of(os.getpid())}
    members = [identify(pid) for pid in _pids() if session_of(pid) in sessions and pid != os.getpid()]
    return [*{*alive, *(member for member in members if member)}]


def kill(identities: Iterable[Identity], *, within: float) -> list[Identity]:
    """Kills processes and returns those that still run after ``within`` seconds."""
    left = [identity for identity in identities if identity.alive()]
    for identity in left:
        try:
            os.kill(identity.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    return wait_gone(left, within=within)


def wait_gone(identities: Iterable[Identity], *, within: float) -> list[Identity]:
    """Waits until processes are gone and returns those that are not after ``within`` seconds."""
    due = time.monotonic() + within
    left = [identity for identity in identities if identity.alive()]
    while left and time.monotonic() < due:
        time.sleep(_POLL_SECONDS)
        left = [identity for identity in left if identity.alive()]
    return left


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir(_PROC) if entry.isdecimal())


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on; the second, a name, may hold blanks and parentheses."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _environ(pid: int) -> bytes:
    try:
        return (_PROC / str(pid) / "environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
