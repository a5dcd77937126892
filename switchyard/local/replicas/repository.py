"""Services that serve a whole repository: catalog and gRPC names follow the models in its folder."""

import asyncio
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from switchyard.catalog import Model, hosted
from switchyard.local.activator.application import Door
from switchyard.local.status.board import StatusBoard

POLL_SECONDS = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RepositoryHost:
    """A service that serves every model in ``folder`` under the model's own name; ``model`` describes the service."""

    model: Model
    folder: Path
    door: Door

    def models(self) -> list[Model]:
        """Return the models that are in the folder now."""
        return hosted(self.model, self.folder)


class RepositoryModels:
    """Polls the folders every two seconds; whether a model in them can be loaded is for Triton to say."""

    def __init__(
        self, hosts: Iterable[RepositoryHost], *, board: StatusBoard, doors: MutableMapping[str, Door]
    ) -> None:
        self._hosts = list(hosts)
        self._board = board
        self._doors = doors

    async def run(self) -> None:
        """Keep catalog and names in step with the folders until cancelled."""
        while self._hosts:
            for host in self._hosts:
                self._follow(host)
            await asyncio.sleep(POLL_SECONDS)

    def _follow(self, host: RepositoryHost) -> None:
        models = host.models()
        self._board.serve(host.model.name, models)
        names = {model.name for model in models}
        for gone in [name for name, door in self._doors.items() if door is host.door and name not in names]:
            del self._doors[gone]
        for name in names:
            self._doors.setdefault(name, host.door)
