"""Waits for what the platform says of a folder that has just changed."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from switchyard.catalog import OLD_SERVED, CatalogError, CatalogFile, State
from switchyard.cli.gateway import GatewayError, request
from switchyard.cli.models.folders import Folders, Listed, Serving
from switchyard.local.errors import LocalError
from switchyard.local.supervisor import commands
from switchyard.repository.status import ModelStatus, RepositoryStatus
from switchyard.repository.verdict import Group

_POLL_SECONDS = 0.05
_LISTED_SECONDS = 5.0  # the supervisor reads what was published a few times a second
_BEGIN_SECONDS = 3.0  # a start that follows a drop begins at once, if there is memory for it
_GATEWAY_SECONDS = 3.0  # for its list of models, for which it may ask a busy server

Start = Literal["ready", "failed", "former", "waking", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Before:
    """What was said of every model, and of every process, before a change."""

    statuses: RepositoryStatus
    processes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @staticmethod
    def of(folders: Folders) -> "Before":
        return Before(statuses=folders.status(), processes=_processes(folders))

    def status(self, group: Group, name: str) -> ModelStatus | None:
        return self.statuses.find(group, name)


def served(folders: Folders) -> Mapping[str, Serving]:
    """Return what the platform that runs here says of its models, empty if none runs.

    The gateway knows best; without a key for one that asks for it, the catalog has the same words.
    """
    run = folders.run()
    if run is None:
        return {}
    try:
        cards = request(run.gateway, "GET", "/v1/models", anonymous=True, seconds=_GATEWAY_SECONDS)["data"]
        return {card["id"]: Serving(state=card["state"], reason=card.get("reason", "")) for card in cards}
    except (GatewayError, KeyError, TypeError):
        pass
    try:
        models = CatalogFile(folders.state.catalog).current().models.values()
    except (CatalogError, OSError):
        return {}
    return {model.name: Serving(state=model.state.phase, reason=model.state.reason or model.notice) for model in models}


def joined(models: Iterable[Listed], said: Mapping[str, Serving]) -> list[Listed]:
    """Return models with what is said of them; a folder with another one's name is listed with its group."""
    return [replace(model, serving=said.get(f"{model.group}/{model.name}") or said.get(model.name)) for model in models]


def started(
    folders: Folders,
    name: str,
    *,
    before: Before,
    seconds: float,
    on_waking: Callable[[str], None] = lambda reason: None,
) -> Start:
    """Wait at most ``seconds`` for the start that follows new content of a language model.

    ``former`` is a start that failed where an earlier content goes on; ``none`` is one that did not begin, as for want
    of memory: a request will begin it. ``on_waking`` gets each reason for which it waits.
    """
    began, waits = time.monotonic(), ""
    known: Mapping[str, Any] = before.processes.get(name, {})
    while folders.run():
        row = _processes(folders).get(name, {})
        if row.get("state") == "waking" and row["reason"] not in ("", waits):
            waits = row["reason"]
            on_waking(waits)
        waited = time.monotonic() - began
        if end := _ended(row, known, may_begin=waited < _BEGIN_SECONDS, last=waited > seconds):
            return end
        time.sleep(_POLL_SECONDS)
    return "none"


def _ended(row: Mapping[str, Any], known: Mapping[str, Any], *, may_begin: bool, last: bool) -> Start | None:
    """Return how a start ended, by the row of its process now and before the change; None while it goes on."""
    state, reason = row.get("state", ""), row.get("reason", "")
    # Its reason alone does not tell: that may be the same as of the content before.
    started, decided = (row.get(count, 0) > known.get(count, 0) for count in ("starts", "contents"))
    begun = started or decided
    if state == "failed" and (begun or not may_begin):
        return "failed"
    if state == "waking":
        return "waking" if last else None
    if reason.startswith(OLD_SERVED) and (begun or last or reason != known.get("reason")):
        return "former"
    if decided and reason and not started:  # it is loaded later, as there is no memory for both
        return "none"
    if begun or (state == "ready" and not reason and known.get("reason")):
        return "ready"
    # Beside a process that serves, the new one is not seen before it is ready.
    beside = state == "ready" and known.get("state") == "ready" and not (reason and reason != known.get("reason"))
    return "none" if last or not (may_begin or beside) else None


def _processes(folders: Folders) -> Mapping[str, Mapping[str, Any]]:
    try:
        return commands.status(folders.state)[1]
    except (LocalError, ValueError):
        return {}


def status_of(folders: Folders, group: Group, name: str) -> ModelStatus | None:
    """Return what was last said of a folder."""
    return folders.status().find(group, name)


def verdict_on(
    folders: Folders,
    group: Group,
    name: str,
    *,
    before: ModelStatus | None,
    seconds: float,
    on_status: Callable[[ModelStatus], None] = lambda status: None,
) -> ModelStatus | None:
    """Return what the platform says of a folder that was ``before`` its change.

    None, if nothing is said within ``seconds``, or the platform ends.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and folders.run():
        status = status_of(folders, group, name)
        if status is not None and status != before:
            on_status(status)
            if status.phase in ("published", "failed"):
                return status
        time.sleep(_POLL_SECONDS)
    return None


def listed(folders: Folders, name: str) -> State | None:
    """Wait until the gateway takes requests for a model that is published.

    Return its state in the catalog, which after a few seconds may be one that takes none; None if it is in no catalog.
    """
    deadline = time.monotonic() + _LISTED_SECONDS
    catalog = CatalogFile(folders.state.catalog)
    while True:
        try:
            model = catalog.current().get(name)
        except (CatalogError, OSError):
            model = None
        if (model is not None and takes_requests(model.state)) or time.monotonic() > deadline:
            return model.state if model else None
        time.sleep(_POLL_SECONDS)


def takes_requests(state: State) -> bool:
    """Whether a request would reach the model, or start it again."""
    return state.retryable or state.phase not in ("pending", "failed")


def gone(folders: Folders, group: Group, name: str, seconds: float) -> bool:
    """Wait until the platform has let go of a folder that was removed; return whether it did."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and folders.run():
        if status_of(folders, group, name) is None:
            return True
        time.sleep(_POLL_SECONDS)
    return False
