import asyncio
import itertools
import os
from pathlib import Path

import pytest

from switchyard.sync import watching


async def test_a_change_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "vision/digits").mkdir(parents=True)
    found = watching.changes([tmp_path])
    told = asyncio.ensure_future(anext(found))
    number = 0
    while not told.done():  # until the kernel watches
        (tmp_path / "vision/digits/config.pbtxt").write_text(str(number := number + 1))
        await asyncio.wait([told], timeout=0.1)
    assert tmp_path / "vision/digits/config.pbtxt" in (told.result() or set())
    await found.aclose()


async def test_where_the_kernel_gives_no_events_everything_is_looked_at_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.05)
    found = watching.changes([tmp_path / "missing"])  # which cannot be watched
    for _ in range(3):
        assert await asyncio.wait_for(anext(found), 10) is None
    await found.aclose()


def test_a_local_file_system_is_not_a_remote_one(tmp_path: Path) -> None:
    assert not watching.is_remote(tmp_path)


async def test_a_name_that_is_no_utf_8_is_told_once_and_all_is_looked_at_once_the_kernel_watches_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(watching, "ARMED_MILLISECONDS", 50)
    monkeypatch.setattr(watching, "SWEEP_SECONDS", 1000.0)
    told: list[set[Path] | None] = []

    async def follow() -> None:
        async for paths in watching.changes([tmp_path]):
            told.append(paths)  # noqa: PERF401  (it is read meanwhile)

    async with asyncio.timeout(60):
        following = asyncio.create_task(follow())
        number = 0
        while not told:  # until the kernel watches
            (tmp_path / "good").write_text(str(number := number + 1))
            await asyncio.sleep(0.05)
        for name in (b"one\xff", b"two\xff"):
            lost = told.count(None)
            os.close(os.open(os.fsencode(tmp_path) + b"/" + name, os.O_CREAT | os.O_WRONLY))
            while told.count(None) < lost + 2:  # at the loss, and after it
                await asyncio.sleep(0.01)
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert caplog.text.count("events are lost") == 1


async def test_a_model_that_comes_is_seen_at_once_though_a_folder_has_a_name_that_is_no_utf_8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "POLL_SECONDS", 1000.0)
    os.makedirs(os.fsencode(tmp_path) + b"/vision/\xff/1")
    found = watching.changes([tmp_path])

    async def make() -> None:
        for number in itertools.count():  # until the kernel watches
            (tmp_path / f"vision/model-{number}").mkdir()
            await asyncio.sleep(0.1)

    async with asyncio.timeout(30):
        making = asyncio.create_task(make())
        while not (paths := await anext(found)):
            pass
    making.cancel()
    await found.aclose()
    assert {path.parent for path in paths} == {tmp_path / "vision"}


async def test_everything_is_looked_at_now_and_then_while_events_come_without_an_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "SWEEP_SECONDS", 0.5)

    async def endless(_: list[str], queue: asyncio.Queue[set[Path] | None]) -> None:
        while True:
            await queue.put({tmp_path})

    monkeypatch.setattr(watching, "_events", endless)
    found = watching.changes([tmp_path])
    async with asyncio.timeout(30):
        while await anext(found) is not None:
            pass
    await found.aclose()
