"""Starting processes so that none outlives the supervisor."""

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from switchyard.local.errors import LocalError
from switchyard.local.processes import guard


class LaunchError(LocalError):
    """A process could not be started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaunchSpec:
    """What to start; ``env`` is the whole environment and ``log`` gets both outputs, appended."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path


class Process(Protocol):
    """A running process, leader of its own session."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """The exit code, negative for a signal; nothing of the process's group is left when it returns."""

    def terminate(self) -> None:
        """Asks it to finish."""

    def kill(self) -> None:
        """Ends it and its whole group now."""


class Launcher(Protocol):
    """Starts processes."""

    async def launch(self, spec: LaunchSpec) -> Process:
        """Starts ``spec``.

        Raises:
            LaunchError: it could not be started.
        """


def signal_process(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def kill_all(pid: int) -> None:
    """Kills a process, which may not lead its group yet, and the group."""
    signal_process(pid, signal.SIGKILL)
    kill_group(pid)


def kill_group(pid: int) -> None:
    """Kills what is left of the group that ``pid`` leads or led; the number is not reused while a member lives."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class SpawnedProcess:
    """A child of this process."""

    def __init__(self, child: asyncio.subprocess.Process) -> None:
        self._child = child

    @property
    def pid(self) -> int:
        return self._child.pid

    async def wait(self) -> int:
        code = await self._child.wait()
        kill_group(self.pid)
        return code

    def terminate(self) -> None:
        if self._child.returncode is None:
            signal_process(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self._child.returncode is None:
            kill_all(self.pid)


class SpawnLauncher:
    """Starts an ordinary child process; must be used from the main thread, whose end is what kills the child."""

    async def launch(self, spec: LaunchSpec) -> Process:
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
                    start_new_session=True,
                )
        except OSError as err:
            raise LaunchError(f"{spec.name}: cannot start {spec.argv[0]} in {spec.cwd}: {err}") from err
        return SpawnedProcess(child)
