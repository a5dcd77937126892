"""Waits for what the platform says of a folder that has just changed."""

import time
from collections.abc import Callable

from switchyard.catalog import CatalogError, CatalogFile, State
from switchyard.cli.models.folders import Folders
from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import Group

_POLL_SECONDS = 0.05
_LISTED_SECONDS = 5.0  # the supervisor reads what was published a few times a second


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
