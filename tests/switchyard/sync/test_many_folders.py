"""More folders than are followed, as of somebody who unpacks a data set into the repository, or wants to do harm."""

import asyncio
import re
import shutil
import urllib.request
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from switchyard.repository.inspection import Device
from switchyard.repository.judging import Judge
from switchyard.repository.publishing import Published
from switchyard.repository.signature import UNCHECKED
from switchyard.sync import syncer
from switchyard.sync.board import Board
from switchyard.sync.folders import MOST_FOLDERS, ModelKey, Roots
from switchyard.sync.meter import Meter
from switchyard.sync.model import Parts
from switchyard.sync.records import Records
from switchyard.sync.reserved import ReservedNames
from switchyard.sync.slots import FairSlots
from switchyard.telemetry.metrics.repository import RepositoryMetrics
from tests.ports import free_port
from tests.switchyard.repository import onnx_models
from tests.switchyard.sync.program import Program

CROWD = "incoming/vision"


def reason(sync: Program) -> str:
    status = sync.status(CROWD)
    return status.reason if status else ""


def test_thousands_of_empty_folders_are_bounded_and_a_good_one_among_them_is_named_and_served_once_they_go(
    tmp_path: Path,
) -> None:
    port = free_port()

    def verdicts() -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            text = response.read().decode()
        return sum(map(float, re.findall(r"^repository_verdicts_total\{.*\} (.+)$", text, re.MULTILINE)))

    made = onnx_models.relu(tmp_path / "late")
    sync = Program(tmp_path, "--http_port", str(port))
    shutil.copytree(made, sync.source / "vision/served")
    with sync:
        sync.wait_for("served", "published")
        empty = [sync.source / f"vision/empty-{number}" for number in range(3 * MOST_FOLDERS)]
        for folder in empty:
            folder.mkdir()
        sync.wait(lambda: reason(sync))  # else this one would be the newest of those that are taken
        shutil.move(made, sync.source / "vision/late")
        sync.wait(lambda: "the newest that are left out: 'late', " in reason(sync))
        sync.wait(lambda: {status.phase for status in sync.statuses()} == {"published", "failed"}, pause=0.5)
        assert len(sync.statuses()) == MOST_FOLDERS + 1
        assert f"has {len(empty) + 2} folders" in reason(sync)
        assert verdicts() <= MOST_FOLDERS
        served = sync.status("served")
        assert served
        assert served.phase == "published"

        for folder in empty:
            folder.rmdir()
        sync.wait_for("late", "published")
        sync.wait(lambda: {status.name for status in sync.statuses()} == {"served", "late"}, pause=0.2)
    assert sync.log.read_text().count("are left out") == 1


async def test_folders_that_go_together_have_few_listings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syncer, "LIST_SECONDS", 1.0)
    listings = 0

    class Counted(Roots):
        def keys(self) -> set[ModelKey]:
            nonlocal listings
            listings += 1
            return Roots.keys(self)

    empty = [tmp_path / f"incoming/vision/empty-{number}" for number in range(200)]
    for folder in empty:
        folder.mkdir(parents=True)
    board = Board(())
    parts = Parts(
        roots=Counted((tmp_path / "incoming",)),
        published=Published(tmp_path / "published"),
        records=Records(tmp_path / "published"),
        judge=Judge(),
        board=board,
        meter=Meter(RepositoryMetrics(CollectorRegistry())),
        slots=FairSlots(2),
        signatures=UNCHECKED,
    )
    follower = syncer.Syncer(parts, reserved=ReservedNames(None), device=Device())
    await follower.prepare(parts.published.recover())
    assert len(board.status.models) == len(empty)
    for folder in empty:
        folder.rmdir()
    following = asyncio.create_task(follower.run())
    try:
        async with asyncio.timeout(60):
            while board.status.models:
                await asyncio.sleep(0.01)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        parts.published.close()
    assert listings < len(empty) / 4
