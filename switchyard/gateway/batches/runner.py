"""Takes batches that nobody works on, and works on some of them at a time."""

import asyncio
import logging
from collections.abc import Callable

from switchyard.gateway.batches.batch import Batch
from switchyard.gateway.batches.lines.results import folder_of
from switchyard.gateway.batches.run import Run, Work
from switchyard.gateway.files.contract import FileStoreError
from switchyard.store.contract import StoreError

logger = logging.getLogger(__name__)

RUNS = 4  # batches at a time: while one waits for a limit, the others go on
_LOOK_SECONDS = 0.5
_FORGET_SECONDS = 3600.0
# For lines that are under way, and again for what is known to be written down. A drain comes before, in which lines
# have as long as calls of clients; what is cancelled, another gateway runs again.
_CLOSE_SECONDS = 5.0


class BatchRunner:
    """Runs beside the calls of a gateway; ``drain`` when it stops, then ``aclose``."""

    def __init__(self, work: Work, *, run: Callable[[Work, Batch], Run] = Run) -> None:
        self._work = work
        self._run = run
        self._runs: dict[asyncio.Task[None], Run] = {}
        self._draining = False
        self.waiting = 0  # batches, as of the last look

    async def follow(self) -> None:
        """Look for batches until cancelled."""
        forgets, outdated = 0.0, False
        time = asyncio.get_running_loop().time
        while True:
            try:
                await self._work.batches.refresh()
                await self._claim()
                self.waiting = sum(1 for _ in self._work.batches.waiting())
                if time() >= forgets:
                    forgets = time() + _FORGET_SECONDS
                    await self._forget_ended()
                outdated = False
            except (StoreError, FileStoreError) as err:
                if not outdated:
                    logger.error("batches wait, as their store does not respond: %s", err)
                outdated = True
            await asyncio.sleep(_LOOK_SECONDS)

    @property
    def running(self) -> int:
        """How many batches it works on."""
        return len(self._runs)

    def drain(self) -> None:
        """Begin no line and no batch any more."""
        self._draining = True
        for run in self._runs.values():
            run.drain()

    async def aclose(self) -> None:
        """Let lines under way end, cancel those that do not, write down what is known, and leave the rest to others."""
        self.drain()
        for _ in range(2):
            if self._runs:
                await asyncio.wait(tuple(self._runs), timeout=_CLOSE_SECONDS)
            for task in self._runs:
                task.cancel()

    async def _claim(self) -> None:
        for batch in self._work.batches.waiting():
            if self._draining or len(self._runs) >= RUNS:
                return
            if batch.id in {run.batch.id for run in self._runs.values()}:
                continue
            claimed = await self._work.batches.claim(batch, self._work.runner)
            if claimed is not None:
                run = self._run(self._work, claimed)
                task = asyncio.create_task(run.run())
                self._runs[task] = run
                task.add_done_callback(self._runs.pop)

    async def _forget_ended(self) -> None:
        await self._work.files.forget_ended()
        blobs = self._work.files.blobs
        for batch_id in await self._work.batches.forget_ended():
            await blobs.remove(await blobs.names(folder_of(batch_id)))
