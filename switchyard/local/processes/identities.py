"""Processes by an identity that outlives them: which of a run are alive, and how they are ended."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

RUN_VARIABLE = "SWITCHYARD_RUN"

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Identity:
    """A process for good: its id and, because ids are reused, its start in hundredths of a second since boot."""

    pid: int
    started: int

    def alive(self) -> bool:
        """Whether this very process still runs; a zombie does not."""
        return identify(self.pid) == self


def identify(pid: int) -> Identity | None:
    """Return the process that has this id now, None if there is none or only its zombie."""
    try:
        return _identity(psutil.Process(pid))
    except psutil.Error:
        return None


def _seconds_since_boot(process: psutil.Process) -> float:
    """Return when ``process`` began, by the monotonic clock.

    psutil adds the time of boot, which the kernel gives in whole seconds and moves when the clock is set.
    """
    boot = psutil.boot_time()  # first: it is also what create_time adds
    return float(process.create_time() - boot)


def of_run(run: str) -> list[Identity]:
    """Return every process that carries ``SWITCHYARD_RUN=run``, as all that a supervisor starts do, but this one."""
    # Children of the preloaded parent too: /proc shows the environment of the last exec, which is their parent's.
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(RUN_VARIABLE) == run:
                found.append(_identity(process))
        except psutil.Error:  # it has ended, or is another user's
            continue
    return [identity for identity in found if identity]


def with_sessions(leaders: Iterable[Identity]) -> list[Identity]:
    """Return those of ``leaders`` that still run, and everything in the sessions that they lead."""
    alive = [leader for leader in leaders if leader.alive()]
    sessions = {leader.pid for leader in alive} - {os.getsid(0)}
    members = [identify(pid) for pid in psutil.pids() if pid != os.getpid() and _session_of(pid) in sessions]
    return [*{*alive, *(member for member in members if member)}]


def kill(identities: Iterable[Identity], *, within: float) -> list[Identity]:
    """Kill processes and return those that still run after ``within`` seconds."""
    alive = [identity for identity in identities if identity.alive()]
    for identity in alive:
        try:
            psutil.Process(identity.pid).kill()
        except psutil.NoSuchProcess:
            continue
    return wait_gone(alive, within=within)


def wait_gone(identities: Iterable[Identity], *, within: float) -> list[Identity]:
    """Wait until processes are gone and return those that are not after ``within`` seconds."""
    deadline = time.monotonic() + within
    left = [identity for identity in identities if identity.alive()]
    while left and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        left = [identity for identity in left if identity.alive()]
    return left


def _identity(process: psutil.Process) -> Identity | None:
    with process.oneshot():
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None
        # The kernel counts starts in hundredths (USER_HZ): rounded to them, two readings of a process are equal.
        return Identity(process.pid, round(_seconds_since_boot(process) * 100))


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
