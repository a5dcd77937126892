"""The file of tenants is followed: a valid edit is in force soon, an invalid one is said and changes nothing."""

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time

import pytest

from switchyard.gateway.tenants.directory import Directory, RejectedKeyError
from switchyard.gateway.tenants.file import TenantsError, TenantsFile
from switchyard.gateway.tenants.keys import create_key, digest
from tests.switchyard.gateway.conftest import until

KEY, OTHER = create_key(), create_key()


def text(*keys: str) -> str:
    entries = [{"id": f"k{number}", "sha256": digest(key.encode()).hex()} for number, key in enumerate(keys)]
    return json.dumps({"tenants": [{"name": "acme", "keys": entries}]})


def has(directory: Directory, key: str) -> bool:
    try:
        directory.find(key.encode(), time)
    except RejectedKeyError:
        return False
    return True


@asynccontextmanager
async def following(path: Path) -> AsyncIterator[tuple[TenantsFile, list[bool]]]:
    """A file that is read and followed, and how each reading ended."""
    file, readings = TenantsFile(path), list[bool]()

    def note(directory: Directory, *, valid: bool) -> None:
        readings.append(valid)

    file.on_read = note
    await file.load()
    task = asyncio.create_task(file.follow())
    try:
        yield file, readings
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_an_edit_is_in_force_soon(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(text(KEY))
    async with following(path) as (file, readings):
        assert (has(file.current, KEY), has(file.current, OTHER)) == (True, False)
        path.write_text(text(OTHER))
        await until(lambda: has(file.current, OTHER), 20)
        assert not has(file.current, KEY)
    assert readings == [True, True]


async def test_a_volumes_swap_of_links_is_an_edit(tmp_path: Path) -> None:
    # As the kubelet writes a ConfigMap: a file that links into a folder that links to the folder of one version.
    for version, key in (("v1", KEY), ("v2", OTHER)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tenants.yaml").write_text(text(key))
    (tmp_path / "..data").symlink_to("v1")
    (tmp_path / "tenants.yaml").symlink_to("..data/tenants.yaml")
    async with following(tmp_path / "tenants.yaml") as (file, _):
        assert has(file.current, KEY)
        (tmp_path / "..new").symlink_to("v2")
        os.replace(tmp_path / "..new", tmp_path / "..data")
        await until(lambda: has(file.current, OTHER), 20)


@pytest.mark.parametrize("bad", ["tenants: [{name: acme, nmae: 1}]", None], ids=["an unknown field", "no file"])
async def test_a_bad_edit_leaves_the_last_good_one_and_says_so(
    bad: str | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(text(KEY))
    async with following(path) as (file, readings):
        if bad is None:
            path.unlink()
        else:
            path.write_text(bad)
        await until(lambda: readings[-1] is False, 20)
        assert has(file.current, KEY)
        path.write_text(text(KEY, OTHER))
        await until(lambda: readings[-1], 20)
        assert has(file.current, OTHER)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "the last valid tenants stay in force" in record.getMessage()
    assert ("nmae: no such field" if bad else "No such file") in record.getMessage()


async def test_a_first_reading_that_fails_is_an_error_with_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(TenantsError, match=r"tenants\.yaml cannot be used:\nNo such file"):
        await TenantsFile(tmp_path / "tenants.yaml").load()


@pytest.mark.parametrize("target", ["/dev/zero", "/"])
async def test_a_link_to_no_file_is_said_at_once(target: str, tmp_path: Path) -> None:
    (tmp_path / "tenants.yaml").symlink_to(target)
    with pytest.raises(TenantsError, match="It is no regular file"):
        await TenantsFile(tmp_path / "tenants.yaml").load()


async def test_of_a_reader_that_fails_in_another_way_nothing_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho 'ValueError: {KEY}' >&2\nexit 1\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(TenantsError, match="its reader ended with 1: it may be nested deeply") as raised:
        await TenantsFile(tmp_path / "tenants.yaml").load()
    assert KEY not in str(raised.value)


async def test_requests_go_on_while_a_large_file_is_read(tmp_path: Path) -> None:
    tenants = [
        {"name": f"t{one}", "keys": [{"id": f"k{one}-{two}", "sha256": f"{one * 10 + two:064x}"} for two in range(10)]}
        for one in range(2000)
    ]
    path = tmp_path / "tenants.yaml"
    path.write_text(json.dumps({"tenants": tenants}))
    file, turns, read = TenantsFile(path), 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not read.is_set():
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await file.load()
    read.set()
    await task
    assert (len(file.current), len(file.current.tenants)) == (20_000, 2000)
    assert turns >= 2000 // 100  # other tasks had a turn after every hundred rows
