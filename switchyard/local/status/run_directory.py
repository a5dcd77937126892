"""The run directory: the record of a run, its logs and catalog, and a lock that allows one supervisor per directory."""

import fcntl
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from switchyard.local.errors import LocalError
from switchyard.local.processes import identities
from switchyard.local.processes.identities import Identity
from switchyard.local.processes.temporary import temporary_folder
from switchyard.local.program import program

DIRECTORY = ".switchyard"
VARIABLE = "SWITCHYARD_STATE_DIR"

_GONE_SECONDS = 10.0
_EARLIER_RUNS = 4  # whose logs are kept: enough to compare with, and old ones go by themselves


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A supervisor that runs, or ran until it was killed.

    ``rendered`` is the fingerprint of the overlay's documents; ``gateway`` is the gateway's base URL, ``gateway_name``
    the name of its Deployment, ``control`` the URL of the supervisor's own ``/metrics`` and ``/status``; ``run_id`` is
    in the environment of every process it started; ``listen`` is where the gateway serves others than this machine, and
    ``certificate`` the file that took the place of the overlay's. A gateway with tenants ``asks_for_keys``.
    ``device`` is the sentence that says what models run on; ``observers`` are the URLs of what observes the run.
    """

    supervisor: Identity
    overlay: str
    rendered: str
    run_id: str
    gateway: str
    gateway_name: str
    control: str
    listen: str = ""
    certificate: str = ""
    asks_for_keys: bool = False
    device: str = ""
    observers: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, Identity] = field(default_factory=dict)

    def dumps(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @staticmethod
    def loads(text: str) -> "Run":
        """Read what ``dumps`` wrote.

        Raises:
            ValueError: the text is something else.
        """
        try:
            row = json.loads(text)
            processes = {name: Identity(**entry) for name, entry in row.pop("processes").items()}
            return Run(supervisor=Identity(**row.pop("supervisor")), processes=processes, **row)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"no run: {err}") from err


class StateDirectory:
    """The files of a run below ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.logs = path / "logs"
        self.catalog = path / "catalog.json"
        self._earlier = [path / f"logs.{age}" for age in range(1, _EARLIER_RUNS + 1)]
        self._run = path / "run.json"
        self._lock = path / "lock"

    @staticmethod
    def of_project(root: Path, environ: Mapping[str, str]) -> "StateDirectory":
        """Return ``SWITCHYARD_STATE_DIR``, or ``.switchyard`` in the project's folder."""
        return StateDirectory(Path(environ.get(VARIABLE) or root / DIRECTORY).resolve())

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def make(self) -> None:
        """Make the directory, for its owner alone: logs and stores say who asked for what."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.logs.mkdir(exist_ok=True)

    def begin_logs(self) -> None:
        """Put the logs of the last run aside; call it with the lock held: a process keeps the file that it opened."""
        folders = [self.logs, *self._earlier]
        shutil.rmtree(folders[-1], ignore_errors=True)
        for newer, older in reversed([*pairwise(folders)]):
            if newer.is_dir():
                newer.rename(older)
        self.make()

    def runs(self) -> list[Path]:
        """Return the folders of the logs of runs, those of the last run at the end."""
        return [folder for folder in (*reversed(self._earlier), self.logs) if folder.is_dir()]

    def read(self) -> Run | None:
        """Return the recorded run, None if there is none or its record cannot be read."""
        try:
            return Run.loads(self._run.read_text())
        except (FileNotFoundError, ValueError):
            return None

    def write(self, run: Run) -> None:
        """Record ``run`` atomically: a reader sees the old record or the new one."""
        staged = self._run.with_suffix(".new")
        staged.write_text(run.dumps())  # not synced: a power cut that loses it ends the processes too
        os.replace(staged, self._run)

    def forget(self) -> None:
        """Remove the record and the catalog of a run that has ended."""
        # Never the lock's file: the next supervisor would lock a new one while somebody still holds the old.
        self._run.unlink(missing_ok=True)
        self.catalog.unlink(missing_ok=True)

    def running(self) -> Run | None:
        """Return the run whose supervisor is alive."""
        run = self.read()
        return run if run and run.supervisor.alive() else None

    def lock(self) -> "RunLock":
        """Take the lock that a supervisor holds while it lives; the kernel releases it when the process dies.

        Raises:
            LocalError: another supervisor holds it.
        """
        self.make()
        # O_CLOEXEC, because the lock lasts while any process has the descriptor, a child of a dead supervisor too.
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            run = self.read()
            if run is None:  # it has not come to its record yet, or has just removed it
                raise LocalError(
                    f"a run is just starting or ending here ({self.path}); try again in a moment"
                ) from None
            raise LocalError(
                f"switchyard is already running with {run.overlay} (process {run.supervisor.pid}, {run.gateway}); stop "
                f"it with `{program()} down`, or look at it with `{program()} status` (run directory: {self.path})"
            ) from None
        return RunLock(descriptor)


class RunLock:
    """A lock that is held until closed or until its process ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> "RunLock":
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        os.close(self._descriptor)


def leftovers(run: Run) -> list[Identity]:
    """Return what still runs of a run besides its supervisor: recorded processes, their sessions, all with its id."""
    # Three traces, because a process can lack each: it began after the last record, leads a session of its own, or
    # cleared its environment.
    return [*{*identities.with_sessions(run.processes.values()), *identities.of_run(run.run_id)} - {run.supervisor}]


def remove_temporary(run: Run) -> None:
    """Remove the temporary files of a run that has ended."""
    shutil.rmtree(temporary_folder(run.run_id), ignore_errors=True)


def clean(directory: StateDirectory) -> int:
    """End what a killed supervisor left and return the number of those processes; call it with the lock held.

    Raises:
        LocalError: a process did not end.
    """
    run = directory.read()
    if run is None:
        return 0
    found = leftovers(run)
    if left := identities.kill(found, within=_GONE_SECONDS):
        pids = ", ".join(str(identity.pid) for identity in left)
        raise LocalError(f"processes {pids} of an earlier run do not end; kill them by hand, then try again")
    remove_temporary(run)
    directory.forget()
    return len(found)
