"""What ``switchyard up``, ``down``, ``status`` and ``logs`` do; the command line only parses and prints."""

import json
import os
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from switchyard.catalog import CatalogFile
from switchyard.local.errors import LocalError
from switchyard.local.processes import procfs
from switchyard.local.status import run_directory, terminal
from switchyard.local.status.run_directory import StateDirectory
from switchyard.local.supervisor import project

# One step of a stop may take 30 s: the gateway's drain, the doors', the predictors'.
STOP_SECONDS = 100.0

_FOLLOW_SECONDS = 0.2
_STATUS_TIMEOUT = 5.0


def command(overlay: Path, *, preloading: bool) -> list[str]:
    """The command line of the supervisor."""
    return [sys.executable, "-m", "switchyard.local", str(overlay), *([] if preloading else ["--no-preload"])]


def up(overlay: Path, *, preloading: bool) -> None:
    """Becomes the supervisor; never returns."""
    argv = command(overlay, preloading=preloading)
    os.execv(argv[0], argv)  # noqa: S606  (no shell is wanted)


def up_detached(overlay: Path, *, preloading: bool) -> str:
    """Starts the supervisor in a session of its own and returns what to try once the gateway answers.

    Raises:
        LocalError: it did not start, or the gateway failed.
    """
    directory = project.directory_of(project.root_of(Path.cwd()))
    directory.make()
    reading, writing = os.pipe()
    with directory.log("supervisor").open("ab") as log:
        argv = [*command(overlay, preloading=preloading), "--report", str(writing)]
        os.set_inheritable(writing, True)
        os.posix_spawn(
            argv[0],
            argv,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 1),
                (os.POSIX_SPAWN_DUP2, log.fileno(), 2),
            ],
            setsid=True,
        )
    os.close(writing)
    with os.fdopen(reading) as report:
        problem = report.read()  # ends when the supervisor has told the outcome, or has died
    run = directory.running()
    if problem:
        hint = "; it is tried again, `switchyard down` ends it" if run else ""
        raise LocalError(problem + hint)
    if run is None:
        raise LocalError(f"the supervisor ended before it was up; see {directory.log('supervisor')}")
    return terminal.next_steps(run, CatalogFile(directory.catalog).current().models.values())


def down(directory: StateDirectory) -> bool:
    """Stops the supervisor and whatever is left of its run; returns whether there was anything to stop.

    Raises:
        LocalError: something does not end.
    """
    run = directory.read()
    if run is None:
        with directory.lock():  # held by a supervisor that still plans
            return False
    supervisor = run.supervisor
    if supervisor.alive():
        os.kill(supervisor.pid, signal.SIGTERM)
        if procfs.wait_gone([supervisor], within=STOP_SECONDS):
            procfs.kill([supervisor], within=STOP_SECONDS)
    with directory.lock():
        run_directory.clean(directory)
    return True


def status(directory: StateDirectory) -> tuple[run_directory.Run, dict[str, dict[str, Any]]]:
    """The run of this directory and what each of its processes does.

    Raises:
        LocalError: nothing runs.
    """
    run = directory.running()
    if run is None:
        raise LocalError(f"nothing runs here; start it with `switchyard up` (run directory: {directory.path})")
    try:
        with urllib.request.urlopen(f"{run.control}/status", timeout=_STATUS_TIMEOUT) as answer:  # noqa: S310  (loopback)
            return run, json.load(answer)
    except OSError as err:
        raise LocalError(f"the supervisor (process {run.supervisor.pid}) does not answer: {err}") from err


def log_lines(directory: StateDirectory, name: str, *, follow: bool) -> Iterator[bytes]:
    """The log of a process as it is, and as it grows.

    Raises:
        LocalError: there is no such log; the message lists those that there are.
    """
    path = directory.log(name)
    if Path(name).name != name or not path.is_file():
        known = ", ".join(sorted(log.stem for log in directory.logs.glob("*.log"))) or "none"
        raise LocalError(f"there is no log of {name!r}; there are: {known}")
    with path.open("rb") as log:
        while True:
            if data := log.read(64 * 1024):
                yield data
            elif follow:
                time.sleep(_FOLLOW_SECONDS)
            else:
                return
