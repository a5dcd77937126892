"""The statuses of all folders, and who is told when one changes."""

import asyncio
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from switchyard.repository.status import ModelStatus, RepositoryStatus, StatusFile
from switchyard.sync.downloads import Download
from switchyard.sync.folders import ModelKey

_PAUSE_SECONDS = 0.05  # changes of one moment are told together
_PAUSES = 4  # times as long as telling took: it takes at most a fifth of the time, however many models there are

RETRY_SECONDS = 2.0  # after a disk was full, or the API server away

logger = logging.getLogger(__name__)


class Reporter(Protocol):
    """Tells others the status of the repository."""

    async def report(self, status: RepositoryStatus) -> None:
        """Tell the whole status.

        Raises:
            OSError: it cannot be told now; the next status is tried again.
        """


class FileReporter:
    """Writes ``status.json`` below the root of what is published."""

    def __init__(self, published: Path) -> None:
        self._file = StatusFile(published)

    async def report(self, status: RepositoryStatus) -> None:
        await asyncio.to_thread(self._file.replace, status)


class Board:
    """Holds the statuses and reports them."""

    def __init__(self, reporters: Iterable[Reporter]) -> None:
        self._reporters = tuple(reporters)
        self._models: dict[ModelKey, ModelStatus] = {}
        self._downloads: dict[ModelKey, Download] = {}
        self._strays: dict[ModelKey, ModelStatus] = {}
        self._told: dict[ModelKey, ModelStatus] = {}
        self._changed = asyncio.Event()
        self._changed.set()  # a repository without models is told, too
        self._behind: set[Reporter] = set()

    @property
    def status(self) -> RepositoryStatus:
        return RepositoryStatus(tuple(self._told[key] for key in sorted(self._told)))

    def set(self, status: ModelStatus) -> None:
        """Take the status of a folder; ``since``, ``source`` and ``revision`` are added to it."""
        key = ModelKey(status.group, status.name)
        self._models[key] = status
        self._refresh(key)

    def remove(self, key: ModelKey) -> None:
        """Forget a folder."""
        self._models.pop(key, None)
        self._refresh(key)

    def set_download(self, download: Download) -> None:
        """Take how far a model has come that is brought from elsewhere."""
        key = ModelKey(download.group, download.name)
        if download.state == "removed":
            self._downloads.pop(key, None)
        else:
            self._downloads[key] = download
        self._refresh(key)

    def set_strays(self, strays: Iterable[ModelStatus]) -> None:
        """Take all that lies where no model can be, in place of what did before; what is new is logged."""
        before = self._strays
        self._strays = {ModelKey(stray.group, stray.name): stray for stray in strays}
        for key in before.keys() | self._strays.keys():
            if before.get(key) != self._strays.get(key):
                self._refresh(key)
        for key in self._strays.keys() - before.keys():
            logger.warning("%s", self._strays[key].reason)

    def _refresh(self, key: ModelKey) -> None:
        """Tell of a model what is said of its folder and its download; ``since`` is when that became something else."""
        before = self._told.pop(key, None)
        status = _merged(self._models.get(key, self._strays.get(key)), self._downloads.get(key))
        if status is not None:
            is_same = before is not None and (before.phase, before.reason) == (status.phase, status.reason)
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            status = self._told[key] = replace(status, since=before.since if before and is_same else now)
        if status != before:
            self._changed.set()

    async def run(self) -> None:
        """Report until cancelled, and once more then."""
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(RETRY_SECONDS if self._behind else None):
                        await self._changed.wait()
                await asyncio.sleep(_PAUSE_SECONDS)
                began = time.monotonic()
                await self.flush()
                await asyncio.sleep(min(RETRY_SECONDS, _PAUSES * (time.monotonic() - began)))
        finally:
            with suppress(asyncio.CancelledError):
                await self.flush()

    async def flush(self) -> None:
        """Report what was not reported yet, to each who does not have it."""
        if self._changed.is_set():
            self._behind.update(self._reporters)
        self._changed.clear()
        status = self.status
        for reporter in [reporter for reporter in self._reporters if reporter in self._behind]:
            try:
                await reporter.report(status)
                self._behind.discard(reporter)
            except OSError as err:
                logger.error("the status of the repository cannot be told: %s", err)


def _merged(status: ModelStatus | None, download: Download | None) -> ModelStatus | None:
    """Return the folder's status with its source; of a folder that is not there yet, that of its download."""
    if download is None:
        return status
    if status is None:
        return ModelStatus(
            group=download.group,
            name=download.name,
            phase="failed" if download.state == "failed" else "downloading",
            reason=download.reason,
            progress=download.progress,
            source=download.source,
            revision=download.revision,
        )
    reason = status.reason or download.reason  # what is published goes on, but its source is not followed
    return replace(status, source=download.source, revision=download.revision, reason=reason)
