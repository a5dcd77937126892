"""The state of every process, for the catalog file, the terminal, ``/status`` and the metrics."""

import asyncio
import logging
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from switchyard.catalog import CatalogFile, Claim, Model, State, owner_of, settle, with_repository
from switchyard.catalog import Phase as CatalogPhase
from switchyard.local.status.client_reason import for_clients
from switchyard.repository.status import ModelStatus
from switchyard.telemetry.metrics.families import Phase
from switchyard.telemetry.metrics.local import Exit, LocalMetrics

logger = logging.getLogger(__name__)

ProcessState = Literal["asleep", "waking", "ready", "draining", "failed"]

# A draining model takes no more requests; the next request starts it again.
_IN_CATALOG: Mapping[ProcessState, CatalogPhase] = {"waking": "waking", "ready": "ready", "failed": "failed"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessStatus:
    """One process: its state and since when (loop time), and the phases of its last start in seconds.

    ``reason`` says why it failed, for what it waits while it is waking, or what it cannot use while it is ready.

    ``blocked`` says that nothing but another ``up`` can start it. ``contents`` counts the contents of its folder
    that were loaded, rejected or put off while, or after, another one served.
    """

    state: ProcessState = "asleep"
    since: float = 0.0
    reason: str = ""
    blocked: bool = False
    pid: int = 0
    starts: int = 0
    contents: int = 0
    phases: Mapping[Phase, float] = field(default_factory=dict)


class Listener(Protocol):
    """Is told of changes; must return at once."""

    def changed(self, name: str, entry: ProcessStatus) -> None:
        """The state of ``name`` changed."""

    def phase(self, name: str, phase: Phase, seconds: float) -> None:
        """A phase of a start is done."""


class StatusBoard:
    """Keeps one ``ProcessStatus`` per process and rewrites the catalog whenever a model's state changes.

    ``served`` maps a service to the models that its process serves; ``settle`` decides when several serve one name.
    The catalog adds what the repository says of their folders. In the catalog, which clients see, a reason has no paths
    but those below ``root``.
    """

    def __init__(
        self,
        *,
        served: Mapping[str, Sequence[Model]],
        names: Iterable[str],
        file: CatalogFile,
        metrics: LocalMetrics,
        root: Path,
    ) -> None:
        self._served = dict(served)
        self._file = file
        self._metrics = metrics
        self._root = root
        self._listeners: list[Listener] = []
        self._clashes: list[str] = []
        self._folders: dict[str, Mapping[str, ModelStatus]] = {}  # of each process, by model
        self._revisions: dict[str, str] = {}  # of each process that has said it
        self.entries: dict[str, ProcessStatus] = {name: ProcessStatus(since=self._now()) for name in names}
        self._publish()

    def listen(self, listener: Listener) -> None:
        """Notify ``listener`` of every change from now on."""
        self._listeners.append(listener)

    def add(self, name: str, models: Sequence[Model] = ()) -> None:
        """Add a process that sleeps, and the models that it serves."""
        self._served[name] = list(models)
        self.entries[name] = ProcessStatus(since=self._now())
        self._publish()
        self._tell(name, self.entries[name])

    def remove(self, name: str) -> None:
        """Forget a process that has ended, and its models."""
        del self.entries[name]
        self._folders.pop(name, None)
        self._revisions.pop(name, None)
        if self._served.pop(name, None):
            self._publish()
        self._tell(name, ProcessStatus(since=self._now()))

    def set(self, name: str, state: ProcessState, reason: str = "", *, blocked: bool = False) -> None:
        """Set the state of ``name``."""
        entry = self.entries[name]
        pid = entry.pid if state in ("ready", "draining") else 0
        if (entry.state, entry.reason, entry.pid) == (state, reason, pid):
            return
        since = entry.since if entry.state == state else self._now()
        self._put(name, replace(entry, state=state, since=since, reason=reason, blocked=blocked, pid=pid))

    def decided(self, name: str, state: ProcessState, notice: str) -> None:
        """Record what became of new content of a model's folder; the same may have been said of the content before."""
        entry = self.entries[name]
        self.entries[name] = replace(entry, contents=entry.contents + 1)
        self.set(name, state, notice)

    def serve(self, name: str, models: Sequence[Model]) -> None:
        """Set the models that process ``name`` serves; they have its state."""
        entry = self.entries[name]
        phase = _IN_CATALOG.get(entry.state, "asleep")
        reason, served = self.for_clients(entry.reason), phase in ("ready", "asleep")
        state = State(phase=phase, reason="" if served else reason, retryable=phase == "failed" and not entry.blocked)
        replicas = int(entry.pid > 0)
        now = [
            replace(
                model,
                state=state,
                replicas=None if model.kind == "graph" else replicas,
                notice=reason if served else "",
                revision=self._revisions.get(name, model.revision),
            )
            for model in models
        ]
        # A write per real change: the gateway reads the file again whenever its stamp differs.
        if now != self._served[name]:
            self._served[name] = now
            self._publish()

    def revise(self, name: str, revision: str) -> None:
        """Set what names the content and the command that process ``name`` serves with, or will when it wakes."""
        self._revisions[name] = revision
        self.serve(name, self._served.get(name, ()))

    def follow(self, name: str, folder: ModelStatus | None) -> None:
        """Let the catalog say what the repository says of the ``folder`` of the model that process ``name`` serves."""
        self.follow_all(name, {name: folder} if folder else {})

    def follow_all(self, name: str, folders: Mapping[str, ModelStatus]) -> None:
        """Let the catalog say what the repository says of the folders of the models that process ``name`` serves.

        What other processes serve is not told it, even if it has the name of one of these models.
        """
        if folders != self._folders.get(name, {}):
            self._folders[name] = dict(folders)
            self._publish()

    def folder(self, name: str) -> ModelStatus | None:
        """Return what the repository says of the folder of process ``name``, None if it says nothing."""
        return self._folders.get(name, {}).get(name)

    def for_clients(self, reason: str) -> str:
        """Return a reason as the catalog has it."""
        return for_clients(reason, self._root)

    def starting(self, name: str, cause: str) -> None:
        """Record that a start of ``name`` begins; ``cause`` is one of request, always-on, load, content, crash."""
        self._metrics.starts.labels(name, cause).inc()
        before = self.entries[name]
        now = ProcessStatus(state="waking", since=self._now(), starts=before.starts + 1, contents=before.contents)
        self._put(name, now)

    def launched(self, name: str, pid: int) -> None:
        """Record that the process of ``name`` exists; what it waited for is there."""
        self._put(name, replace(self.entries[name], pid=pid, reason=""))

    def replaced(self, name: str, pid: int) -> None:
        """Record that another process of ``name``, which started beside the one that served, serves in its place."""
        self._metrics.starts.labels(name, "content").inc()
        entry = self.entries[name]
        self._put(name, replace(entry, pid=pid, reason="", since=self._now(), starts=entry.starts + 1))

    def start_failed(self, name: str) -> None:
        """Count a start of ``name`` that ended before it was ready."""
        self._metrics.start_failures.labels(name).inc()

    def exited(self, name: str, code: int) -> None:
        """Count the end of a process of ``name`` that served; ``code`` is its exit code, negative of a signal."""
        # What the kernel does when memory is out cannot be told from another's `kill -9`.
        reason: Exit = "killed" if code == -signal.SIGKILL else "crash"
        self._metrics.exits.labels(name, reason).inc()

    def phase(self, name: str, phase: Phase, seconds: float) -> None:
        """Record that a phase of the start in progress took ``seconds``."""
        entry = self.entries[name]
        self.entries[name] = replace(entry, phases={**entry.phases, phase: seconds})
        self._metrics.start_seconds.labels(name, phase).observe(seconds)
        for listener in self._listeners:
            listener.phase(name, phase, seconds)

    def report(self) -> dict[str, dict[str, object]]:
        """Return every status as plain values, with the seconds since its last change."""
        now = self._now()
        return {
            name: {
                "state": entry.state,
                "seconds": round(now - entry.since, 3),
                "reason": entry.reason,
                "pid": entry.pid,
                "starts": entry.starts,
                "contents": entry.contents,
                "phases": dict(entry.phases),
                "serves": [model.name for model in self._served.get(name, ())],
            }
            for name, entry in self.entries.items()
        }

    def _put(self, name: str, entry: ProcessStatus) -> None:
        self.entries[name] = entry
        self._metrics.replicas.labels(name).set(int(entry.pid > 0))
        if name in self._served:
            self.serve(name, self._served[name])
        self._tell(name, self.entries[name])

    def _tell(self, name: str, entry: ProcessStatus) -> None:
        for listener in self._listeners:
            listener.changed(name, entry)

    def _publish(self) -> None:
        claims = (
            Claim(owner_of(name, model.kind), self._described(name, model), own=model.name == name)
            for name, served in self._served.items()
            for model in served
        )
        clashes: list[str] = []
        self._file.replace(settle(claims, clashes.append))
        for reason in dict.fromkeys(clashes):
            if reason not in self._clashes:
                logger.warning("a model is not served by its name", extra={"reason": reason})
        self._clashes = clashes

    def _described(self, name: str, model: Model) -> Model:
        folders = self._folders.get(name, {})
        folder = folders.get(model.name)
        if folder is None:
            return model
        described = with_repository(model, folder, folders)
        # A service that is there holds requests until the folder is checked; one that hosts others has no use for them.
        holds = described.state.phase == "pending" and bool(model.url) and model.kind != "vision"
        state = replace(
            described.state,
            reason=self.for_clients(described.state.reason),
            retryable=described.state.retryable or holds,
        )
        return replace(described, state=state, notice=self.for_clients(described.notice) or model.notice)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
