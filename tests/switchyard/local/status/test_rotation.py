"""Logs that are bounded while processes write them."""

import asyncio
import contextlib
import os
import threading
from pathlib import Path

import pytest

from switchyard.local.processes.startlog import StartLog
from switchyard.local.status import rotation


async def test_a_long_log_is_set_aside_in_place_of_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "MOST_BYTES", 100)
    monkeypatch.setattr(rotation, "_SECONDS", 0.001)
    log, short = tmp_path / "chat.log", tmp_path / "embed.log"
    short.write_text("short")
    rotation.aside(log).write_text("before")
    log.write_bytes(b"a" * 101)
    log.chmod(0o600)
    task = asyncio.create_task(rotation.bound(tmp_path))
    async with asyncio.timeout(5):
        while log.stat().st_size:
            await asyncio.sleep(0.001)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert rotation.aside(log).read_bytes() == b"a" * 101
    assert rotation.aside(log).stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(tmp_path)) == ["chat.log", "chat.log.1", "embed.log"]


def test_what_is_written_during_a_cut_is_kept_but_for_one_gap(tmp_path: Path) -> None:
    log, written, stop = tmp_path / "chat.log", 0, threading.Event()

    def write() -> None:
        nonlocal written
        with log.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"%08d\n" % written)
                written += 1

    log.touch()
    writer = threading.Thread(target=write)
    writer.start()
    while log.stat().st_size < 100_000:
        pass
    rotation.set_aside(log)
    stop.set()
    writer.join()
    before, after = ([int(line) for line in path.read_bytes().split()] for path in (rotation.aside(log), log))
    assert before == [*range(len(before))]
    assert after == [*range(written - len(after), written)]
    assert len(before) >= 100_000 / 9


def test_a_start_is_read_over_the_cut_of_its_log(tmp_path: Path) -> None:
    path = tmp_path / "chat.log"
    path.write_text("earlier\n" * 1000)
    log = StartLog(path)
    rotation.set_aside(path)
    with path.open("a") as file:
        file.write('{"phase": "load", "seconds": 2, "message": "load done"}\nValueError: no memory\n')
    assert [*log.phases()] == [("load", 2.0)]
    assert "no memory" in log.reason(1)
    log.close()
