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

    @property
    def missing(self) -> str:
        """Why there is nothing to load; empty if there is, or if there soon may be."""
        return "" if self._arriving() else self._missing()

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
        folder = self._service.model_dir
        missing = folder is not None and not folder.is_dir()
        return f"its model folder {folder} does not exist; put the model there" if missing else ""

    def _arriving(self) -> str:
        said = self._board.folder(self._service.name)
        return said.sentence if said and said.facts is None and said.phase != "failed" else ""
