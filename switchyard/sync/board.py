"""The statuses of all folders, and who is told when one changes."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from switchyard.repository.status import ModelStatus, RepositoryStatus, StatusFile
from switchyard.sync.folders import ModelKey

_PAUSE_SECONDS = 0.02  # changes of one moment are told together

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
        self._changed = asyncio.Event()
        self._changed.set()  # the first report takes the place of the last run's

    @property
    def status(self) -> RepositoryStatus:
        return RepositoryStatus(tuple(self._models[key] for key in sorted(self._models)))

    def get(self, key: ModelKey) -> ModelStatus | None:
        return self._models.get(key)

    def set(self, status: ModelStatus) -> None:
        """Take a status; ``since`` is set to now where it says something else than the one before."""
        key = ModelKey(status.group, status.name)
        before = self._models.get(key)
        since = before.since if before else ""
        if before and replace(status, since=since) == before:
            return
        if before is None or (before.phase, before.reason) != (status.phase, status.reason):
            since = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._models[key] = replace(status, since=since)
        self._changed.set()

    def remove(self, key: ModelKey) -> None:
        if self._models.pop(key, None):
            self._changed.set()

    async def run(self) -> None:
        """Report until cancelled, and once more then."""
        try:
            while True:
                await self._changed.wait()
                await asyncio.sleep(_PAUSE_SECONDS)
                await self.flush()
        finally:
            with suppress(asyncio.CancelledError):
                await self.flush()

    async def flush(self) -> None:
        """Report what was not reported yet."""
        if not self._changed.is_set():
            return
        self._changed.clear()
        status = self.status
        for reporter in self._reporters:
            try:
                await reporter.report(status)
            except OSError as err:
                logger.error("the status of the repository cannot be told: %s", err)
