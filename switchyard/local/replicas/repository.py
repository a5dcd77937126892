"""Services that serve a whole repository: the catalog follows the models in its folder."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from switchyard.catalog import Model, hosted
from switchyard.local.status.board import StatusBoard

POLL_SECONDS = 2.0


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
