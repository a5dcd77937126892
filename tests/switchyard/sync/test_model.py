"""One followed folder, while what its verdict depends on changes."""

import asyncio
from pathlib import Path

from prometheus_client import CollectorRegistry

from switchyard.repository.inspection import Surroundings
from switchyard.repository.judging import Judge
from switchyard.repository.publishing import Published
from switchyard.repository.signature import UNCHECKED
from switchyard.sync.board import Board
from switchyard.sync.folders import ModelKey, Roots
from switchyard.sync.meter import Meter
from switchyard.sync.model import Model, Parts
from switchyard.sync.records import Records
from switchyard.sync.slots import FairSlots
from switchyard.telemetry.metrics.repository import RepositoryMetrics


class Others:
    """Other models, of which one is published while this one is judged, ``times`` times."""

    times = 0
    _revision = 0

    def surroundings(self, key: ModelKey) -> Surroundings:
        return Surroundings()

    @property
    def revision(self) -> int:
        if self.times:
            self.times -= 1
            self._revision += 1
        return self._revision

    def on_published(self, key: ModelKey) -> None:
        raise AssertionError("nothing is published here")


async def test_a_verdict_that_a_change_of_others_overtook_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "incoming/vision/My Model").mkdir(parents=True)
    board, others = Board(()), Others()
    parts = Parts(
        roots=Roots((tmp_path / "incoming",)),
        published=Published(tmp_path / "published"),
        records=Records(tmp_path / "published"),
        judge=Judge(),
        board=board,
        meter=Meter(RepositoryMetrics(CollectorRegistry())),
        slots=FairSlots(1),
        signatures=UNCHECKED,
    )
    parts.published.recover()
    model = Model(ModelKey("vision", "My Model"), parts, others, None)

    async def failed() -> None:
        while others.times or [status.phase for status in board.status.models] != ["failed"]:
            await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        following = asyncio.create_task(model.run())
        await failed()
        others.times = 4  # there are two looks at it for each verdict
        model.look_again(judge=True)
        await failed()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    parts.published.close()
