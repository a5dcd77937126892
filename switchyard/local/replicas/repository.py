"""Services that serve a whole repository: the catalog follows the models in it."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from switchyard.catalog import Model, hosted
from switchyard.local.status.board import StatusBoard
from switchyard.repository.status import ModelStatus, RepositoryStatus, StatusError, StatusFile

POLL_SECONDS = 2.0
STATUS_SECONDS = 0.2  # a stat of one file
# After a first `up`, requests for models that nobody has judged yet wait this long. A folder takes a second or two, and
# on a machine that is busy with everything else a hundred times that.
FIRST_SECONDS = 300.0

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryHost:
    """A service that serves every model in ``folder`` under the model's own name; ``model`` describes the service."""

    model: Model
    folder: Path

    def models(self) -> list[Model]:
        """Return the models that are in the folder now."""
        return hosted(self.model, self.folder)


class RepositoryModels:
    """Polls the folders every two seconds; whether a model in them can be loaded is for Triton to say."""

    def __init__(self, hosts: Iterable[RepositoryHost], *, board: StatusBoard) -> None:
        self._hosts = list(hosts)
        self._board = board

    async def run(self) -> None:
        """Keep the catalog in step with the folders until cancelled."""
        while self._hosts:
            for host in self._hosts:
                self._board.serve(host.model.name, host.models())
            await asyncio.sleep(POLL_SECONDS)  # a shared folder may be on a file system without inotify events


class JudgedModels:
    """Follows ``status.json`` below ``published`` for the service that serves what is published of the group vision.

    ``host.folder`` is where people put models. Until all that it had at a first start is judged, the models are listed
    as it has them, and the service waits with its start, so that no request meets a repository that is not filled yet.
    """

    def __init__(self, host: RepositoryHost, published: Path, *, board: StatusBoard) -> None:
        self._host = host
        self._file = StatusFile(published)
        self._board = board
        self._is_first = True
        self._problem = ""

    async def run(self) -> None:
        """Keep the catalog in step with the status until cancelled."""
        loop = asyncio.get_running_loop()
        end = loop.time() + FIRST_SECONDS
        while True:
            self._look(is_late=loop.time() > end)
            await asyncio.sleep(STATUS_SECONDS)

    def _look(self, *, is_late: bool) -> None:
        try:
            status = self._file.current()
        except (StatusError, OSError) as err:
            if str(err) != self._problem:
                logger.error("the repository's status cannot be read", extra={"reason": str(err)})
            self._problem = str(err)
            return
        self._problem = ""
        name = self._host.model.name
        if self._is_first and not is_late and (waiting := self._unjudged(status)):
            reason = f"the model repository is being checked: {', '.join(waiting)}"
            self._board.follow(name, ModelStatus(group="vision", name=name, phase="checking", reason=reason))
            self._board.serve(name, self._host.models())
            return
        if self._is_first:
            self._is_first = False
        self._show({model.name: model for model in status.of_group("vision")})

    def _unjudged(self, status: RepositoryStatus) -> list[str]:
        judged = {m.name for m in status.of_group("vision") if m.facts is not None or m.phase == "failed"}
        return [model.name for model in self._host.models() if model.name not in judged]

    def _show(self, found: Mapping[str, ModelStatus]) -> None:
        # First, or a new model would be listed for a moment without what is said of it.
        self._board.follow_all(self._host.model.name, found)
        self._board.serve(self._host.model.name, [replace(self._host.model, name=name) for name in found])
