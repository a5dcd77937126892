import asyncio
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
