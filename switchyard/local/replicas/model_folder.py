"""The folder of a service's model: whether it is there, and the wait while it is brought and checked."""

import asyncio

from switchyard.local.plan.workloads import Service
from switchyard.local.processes.start import PROBE_SECONDS, StartError
from switchyard.local.status.board import StatusBoard


class ModelFolder:
    """The folder of one service, of which the repository may say more on the board."""

    def __init__(self, service: Service, board: StatusBoard) -> None:
        self._service = service
        self._board = board
        self._told = ""

    def tell(self) -> None:
        """Say before somebody asks that there is nothing to load, or that there is again; a request is still tried."""
        entry, missing = self._board.entries[self._service.name], "" if self._arriving() else self._missing()
        if missing and entry.state in ("asleep", "failed") and not self._service.blocked:
            self._board.set(self._service.name, "failed", missing)
        elif self._told and entry.reason == self._told:
            self._board.set(self._service.name, "asleep")
        self._told = missing

    async def wait(self) -> None:
        """Wait while the folder is brought and checked.

        Raises:
            StartError: there is none, or nothing in it can be served.
        """
        loop, name = asyncio.get_running_loop(), self._service.name
        deadline = loop.time() + self._service.scale.progress_deadline
        while (reason := self._arriving()) and loop.time() < deadline:
            self._board.set(name, "waking", reason)
            await asyncio.sleep(PROBE_SECONDS)
        if missing := self._missing():
            said = self._board.folder(name)
            raise StartError((said.sentence if said else "") or missing, final=True)

    def _missing(self) -> str:
        folder, source = self._service.model_dir, self._service.source_dir
        missing = folder is not None and not folder.is_dir()
        return f"its model folder {source or folder} does not exist; put the model there" if missing else ""

    def _arriving(self) -> str:
        said = self._board.folder(self._service.name)
        return said.sentence if said and said.facts is None and said.phase != "failed" else ""
