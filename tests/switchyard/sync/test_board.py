import asyncio
import time
from dataclasses import replace

import pytest

from switchyard.repository.status import ModelStatus, RepositoryStatus
from switchyard.sync.board import Board
from switchyard.sync.downloads import Download
from switchyard.sync.folders import ModelKey

KEY = ModelKey("vision", "digits")
DOWNLOAD = Download(
    group="vision", name="digits", state="running", source="s3://models/digits", revision="7", progress=(1, 3)
)
FOLDER = ModelStatus(group="vision", name="digits", phase="published", digest="d")


def told(board: Board) -> ModelStatus:
    (status,) = board.status.models
    return replace(status, since="")


def test_a_download_is_told_until_its_folder_is_there_and_its_source_from_then_on() -> None:
    board = Board(())
    board.set_download(DOWNLOAD)
    downloading = ModelStatus(
        group="vision", name="digits", phase="downloading", progress=(1, 3), source="s3://models/digits", revision="7"
    )
    assert told(board) == downloading
    board.set(FOLDER)
    folder = replace(FOLDER, source=downloading.source, revision=downloading.revision)
    assert told(board) == folder
    board.set_download(replace(DOWNLOAD, state="failed", reason="the bucket is gone"))
    assert told(board) == replace(folder, reason="the bucket is gone")
    board.remove(KEY)
    assert told(board).phase == "failed"
    board.set_download(replace(DOWNLOAD, state="removed"))
    assert board.status.models == ()


def test_since_is_when_something_else_was_said_first() -> None:
    board = Board(())
    board.set(replace(FOLDER, phase="copying"))
    first = board.status.models[0].since
    board.set(replace(FOLDER, phase="copying", digest="e"))
    assert board.status.models[0].since == first


async def test_a_reporter_that_fails_stops_no_other_and_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("switchyard.sync.board.RETRY_SECONDS", 0.05)
    reports, later = asyncio.Queue[RepositoryStatus](), asyncio.Queue[RepositoryStatus]()
    failures = iter(range(5))

    class Failing:
        async def report(self, status: RepositoryStatus) -> None:
            if next(failures, None) is not None:
                raise OSError("no route to the API server")
            later.put_nowait(status)

    class Collecting:
        async def report(self, status: RepositoryStatus) -> None:
            reports.put_nowait(status)

    board = Board((Failing(), Collecting()))
    task = asyncio.create_task(board.run())
    try:
        assert (await asyncio.wait_for(reports.get(), 10)).models == ()
        board.set(FOLDER)
        assert (await asyncio.wait_for(reports.get(), 10)).models[0].phase == "published"
        assert (await asyncio.wait_for(later.get(), 10)).models[0].phase == "published"
        assert reports.empty()  # it has both already
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_status_that_takes_long_to_tell_is_told_less_often() -> None:
    told: list[tuple[float, float]] = []
    board: Board

    class Slow:
        async def report(self, status: RepositoryStatus) -> None:
            began = time.monotonic()
            board.set(replace(FOLDER, digest=str(len(told))))  # there is always more to tell
            await asyncio.sleep(0.05)
            told.append((began, time.monotonic()))

    board = Board((Slow(),))
    task = asyncio.create_task(board.run())
    try:
        async with asyncio.timeout(30):
            while len(told) < 3:
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    (began, ended), (again, _), *_ = told
    assert again - ended > 3 * (ended - began)
