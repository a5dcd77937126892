"""The commands ``switchyard up``, ``down``, ``status`` and ``logs``; the command line only parses and prints."""

import json
import os
import signal
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from switchyard.catalog import CatalogFile
from switchyard.local.errors import LocalError
from switchyard.local.plan.render import fingerprint, render_text
from switchyard.local.processes import identities
from switchyard.local.program import LISTEN_VARIABLE, program
from switchyard.local.status import run_directory, terminal
from switchyard.local.status.run_directory import Run, StateDirectory
from switchyard.local.supervisor import project

# Each step of a stop may take 30 s: draining the gateway, the activator and the predictors.
STOP_SECONDS = 100.0

_POLL_SECONDS = 0.2
_READY_SECONDS = 60.0  # what a start of the gateway may take (replicas/deployment.py)
_STATUS_TIMEOUT = 5.0
_EDITS_SECONDS = 90.0  # rendering may take 60 (plan/render.py)
_CONFLICT = 409


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """What is to run; ``tls`` is a certificate and its key, in place of the overlay's.

    With ``observe``, what observes it runs too.
    """

    overlay: Path
    port: int | None = None
    tls: tuple[Path, Path] | None = None
    preloading: bool = True
    observe: bool = False

    def command(self) -> list[str]:
        """Return the command line of the supervisor."""
        port = [] if self.port is None else [f"--port={self.port}"]
        tls = [] if self.tls is None else ["--tls", *map(str, self.tls)]
        switches = {"--no-preload": not self.preloading, "--observe": self.observe}
        flags = [*port, *tls, *(flag for flag, wanted in switches.items() if wanted)]
        return [sys.executable, "-m", "switchyard.local", str(self.overlay), *flags]


def up(wanted: Wanted) -> None:
    """Replace this process with the supervisor; never returns."""
    argv = wanted.command()
    # By exec: the terminal's signals then reach the supervisor, and the command line's libraries leave its memory.
    os.execv(argv[0], argv)  # noqa: S606  (no shell is wanted)


def take_edits(overlay: Path) -> str:
    """Let the run of ``overlay``, if there is one, take what was edited; empty if nothing was.

    Raises:
        LocalError: what was edited needs another start.
    """
    run = project.directory_of(project.root_of(Path.cwd())).running()
    return _take_edits(run) if run and run.overlay == str(overlay) else ""


def up_detached(wanted: Wanted) -> str:
    """Start the supervisor in a new session; return what to try once the gateway is ready.

    Where this overlay runs already, nothing is started: the run takes what was edited in its mounted files.

    Raises:
        LocalError: it did not start, the gateway failed, or something else runs here.
    """
    directory = project.directory_of(project.root_of(Path.cwd()))
    if run := directory.running():
        _require_same(run, wanted)
        taken = _take_edits(run)
        _await_gateway(run, directory)
        return taken or f"{run.overlay} runs already.\n{_next_steps(run, directory)}"
    directory.make()
    reading, writing = os.pipe()
    with directory.log("supervisor").open("ab") as log:
        argv = [*wanted.command(), "--report", str(writing)]
        os.set_inheritable(writing, True)
        supervisor = os.posix_spawn(
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
        problem = report.read()  # ends when the supervisor has reported the outcome, or has died
    run = directory.running()
    ours = run is not None and run.supervisor.pid == supervisor
    if problem:
        hint = f"; it is started again every few seconds until you run `{program()} down`" if ours else ""
        raise LocalError(problem + hint)
    if run is None or not ours:
        raise LocalError(f"the supervisor ended during its start; see {directory.log('supervisor')}")
    return _next_steps(run, directory)


def _require_same(run: Run, wanted: Wanted) -> None:
    """Fail unless ``run`` is of the overlay that is wanted, and its gateway is where and as it is wanted.

    Raises:
        LocalError: it is another overlay, the gateway listens elsewhere or has another certificate, or is not observed.
    """
    if run.overlay != str(wanted.overlay):
        raise LocalError(f"another overlay runs here, {run.overlay}, at {run.gateway}: {_again()}")
    listen, differs = os.environ.get(LISTEN_VARIABLE, ""), ""
    if wanted.port is not None and urlsplit(run.gateway).port != wanted.port:
        differs = f"at {run.gateway} and not on port {wanted.port}"
    elif listen and run.listen != listen:
        differs = f"and does not listen on {listen}"
    elif wanted.tls is not None and run.certificate != str(wanted.tls[0]):
        differs = f"and its certificate is not {wanted.tls[0]}"
    elif wanted.observe and not run.observers:
        differs = "and nothing observes it"
    if differs:
        raise LocalError(f"{run.overlay} runs already, {differs}: {_again()}")


def _again() -> str:
    return f"run `{program()} down` first"


def _take_edits(run: Run) -> str:
    """Let the supervisor take what was edited in the overlay since its start; empty if nothing was.

    Raises:
        LocalError: more was edited than files that containers mount, or the gateway cannot use one.
    """
    if run.rendered == fingerprint(render_text(Path(run.overlay))):
        return ""
    request = urllib.request.Request(f"{run.control}/edits", method="POST")  # noqa: S310  (loopback)
    try:
        with urllib.request.urlopen(request, timeout=_EDITS_SECONDS) as response:  # noqa: S310
            taken = json.load(response)
    except urllib.error.HTTPError as err:
        why = json.load(err)["error"] if err.code == _CONFLICT else str(err)
        raise LocalError(
            f"{run.overlay} runs already, at {run.gateway}, and was changed after its start {why}: {_again()}"
        ) from err
    except OSError as err:
        raise _silent(run, err) from err
    if taken["problem"]:
        where = f"what was edited in {run.overlay}, of which it has a copy"
        raise LocalError(f"{run.gateway_name} cannot use {where}: {taken['problem']}")
    if not taken["edited"]:
        return f"{run.overlay} runs already; what was edited changes nothing on this machine."
    return f"{run.overlay} runs already, and the edited files are in place for {', '.join(taken['edited'])}."


def _await_gateway(run: Run, directory: StateDirectory) -> None:
    """Wait until the gateway of ``run`` is ready, which another ``up`` may have started a moment ago.

    Raises:
        LocalError: it is not within the time that its start may take.
    """
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline:
        if status(directory)[1][run.gateway_name]["state"] == "ready":
            return
        time.sleep(_POLL_SECONDS)
    raise LocalError(f"{run.overlay} runs already, but its gateway is not ready; see `{program()} status`")


def _next_steps(run: Run, directory: StateDirectory) -> str:
    states = {name: row["state"] for name, row in status(directory)[1].items()}
    return terminal.next_steps(run, CatalogFile(directory.catalog).current().models.values(), states)


def down(directory: StateDirectory) -> bool:
    """Stop the supervisor and the rest of its run; return whether there was anything to stop.

    Raises:
        LocalError: a process does not end.
    """
    run = directory.read()
    if run is None:
        with directory.lock():  # a supervisor that is still planning holds it
            return False
    supervisor = run.supervisor
    if supervisor.alive():
        os.kill(supervisor.pid, signal.SIGTERM)
        if identities.wait_gone([supervisor], within=STOP_SECONDS):
            identities.kill([supervisor], within=STOP_SECONDS)
    with directory.lock():
        run_directory.clean(directory)
    return True


def status(directory: StateDirectory) -> tuple[Run, dict[str, dict[str, Any]]]:
    """Return the run of this directory and the status of each of its processes.

    Raises:
        LocalError: nothing runs.
    """
    run = _running(directory)
    try:
        with urllib.request.urlopen(f"{run.control}/status", timeout=_STATUS_TIMEOUT) as response:  # noqa: S310  (loopback)
            return run, json.load(response)
    except OSError as err:
        raise _silent(run, err) from err


def run_here() -> Run:
    """Return the run of the working directory's project.

    Raises:
        LocalError: nothing runs.
    """
    return _running(project.directory_of(project.root_of(Path.cwd())))


def _running(directory: StateDirectory) -> Run:
    run = directory.running()
    if run is None:
        raise LocalError(f"nothing runs here; start it with `{program()} up` (run directory: {directory.path})")
    return run


def _silent(run: Run, err: OSError) -> LocalError:
    return LocalError(f"the supervisor (process {run.supervisor.pid}) does not respond: {err}")


def process_of(directory: StateDirectory, model: str) -> str:
    """Return which process of the run serves ``model``; empty if none does, or nothing runs."""
    try:
        _, rows = status(directory)
    except LocalError:
        return ""
    return next((name for name, row in rows.items() if model in row.get("serves", ())), "")
