"""Starts processes in such a way that none outlives the supervisor."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import psutil

from switchyard.local.errors import LocalError
from switchyard.local.processes import guard, identities

_POLL_SECONDS = 0.02
_GROUP_SECONDS = 5.0  # the kernel may be busy for so long with the memory of a killed process

logger = logging.getLogger(__name__)


class LaunchError(LocalError):
    """A process could not be started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchSpec:
    """A process to start; ``env`` is its whole environment, and both outputs are appended to ``log``."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path


class Process(Protocol):
    """A running process, the leader of its own session."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """Wait for the exit code, negative for a signal; every process of the group has ended when this returns."""

    def terminate(self) -> None:
        """Ask the process to finish (SIGTERM)."""

    def kill(self) -> None:
        """Kill the process and its group at once."""


class Launcher(Protocol):
    """Starts processes."""

    async def prepare(self, argv: Sequence[str], on_wait: Callable[[str], None]) -> bool:
        """Wait for what the start of a command needs; say for what by ``on_wait``, and return whether that was."""

    async def launch(self, spec: LaunchSpec) -> Process:
        """Start a process.

        Raises:
            LaunchError: it could not be started.
        """


def signal_process(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_all(pid: int) -> None:
    """Kill a process and its group; it may not lead the group yet."""
    signal_process(pid, signal.SIGKILL)
    kill_group(pid)


def kill_group(pid: int) -> None:
    """Kill the rest of the group that ``pid`` leads or led; the kernel reuses no id of a group that has members."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


async def end_group(pid: int) -> None:
    """Kill the rest of the group that ``pid`` led, and wait until it has ended: its ports and memory are free then."""
    deadline = asyncio.get_running_loop().time() + _GROUP_SECONDS
    kill_group(pid)
    while members := _members(pid):
        if asyncio.get_running_loop().time() > deadline:
            logger.error("processes %s were killed and do not end", members)
            return
        await asyncio.sleep(_POLL_SECONDS)


def _members(group: int) -> list[int]:
    """Return the processes of a group, without zombies."""
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):  # mostly: looking at every process costs more
        return []
    return [pid for pid in psutil.pids() if _group_of(pid) == group and identities.identify(pid)]


def _group_of(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


class SpawnedProcess:
    """A child of this process."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    async def wait(self) -> int:
        code = await self._child.wait()
        await end_group(self.pid)  # a leader that crashed leaves its workers
        return code

    def terminate(self) -> None:
        if self._child.returncode is None:
            signal_process(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self._child.returncode is None:
            kill_all(self.pid)


class SpawnLauncher:
    """Starts ordinary child processes; use it from the main thread, because children die with their parent thread."""

    async def prepare(self, argv: Sequence[str], on_wait: Callable[[str], None]) -> bool:
        return False

    async def launch(self, spec: LaunchSpec) -> Process:
        # -I -S: without site-packages and PYTHON… variables, which cost 20 ms a start and could break it.
        guarded = (sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), *spec.argv)
        try:
            with spec.log.open("ab") as log:
                child = await asyncio.create_subprocess_exec(
                    *guarded,
                    stdin=DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=spec.env,
                    cwd=spec.cwd,
                    # So that Ctrl-C reaches the supervisor alone, which then stops everything in order.
                    start_new_session=True,
                )
        except OSError as err:
            raise LaunchError(f"{spec.name}: cannot start {spec.argv[0]} in {spec.cwd}: {err}") from err
        return SpawnedProcess(child)
