"""Each act is a line in the log and an entry of the journal, and no key is ever in either."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from switchyard.gateway.audit import log
from switchyard.gateway.audit.log import FILE, Act, Actor, AuditLog
from switchyard.gateway.tenants.keys import create_key
from switchyard.store.factory import open_journal
from switchyard.store.journal.contract import Journal
from switchyard.telemetry.logs import JsonFormatter

NOW = 1_800_000_000
BY = Actor({"type": "api_key", "api_key": {"id": "acme-admin"}}, {"ip_address": "192.0.2.1", "request_id": "r"})


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = open_journal(f"sqlite://{tmp_path}/store.db")
    yield opened
    await opened.aclose()


@pytest.fixture
def audit(journal: Journal) -> AuditLog:
    return AuditLog(journal, now=lambda: NOW)


async def test_an_act_is_an_entry_and_the_same_line_of_the_log(
    journal: Journal, audit: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    await audit.write(Act(type="api_key.created", project="acme", details={"id": "ci"}), BY)
    ((_, entry),) = await journal.older()
    event = orjson.loads(entry)
    assert event == {
        "object": "organization.audit_log",
        "type": "api_key.created",
        "effective_at": NOW,
        "project": {"id": "acme", "name": "acme"},
        "actor": BY.actor,
        "source": BY.source,
        "outcome": "succeeded",
        "api_key.created": {"id": "ci"},
    }
    (record,) = caplog.records
    assert json.loads(JsonFormatter("gateway").format(record))["audit"] == event


async def test_acts_are_in_the_log_whatever_its_level_is(audit: AuditLog, caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)
    try:
        await audit.write(Act(type="model.loaded"), BY)
    finally:
        root.setLevel(before)
    assert [record.getMessage() for record in caplog.records] == ["audit"]


async def test_a_key_is_cut_out_wherever_it_stands(
    journal: Journal, audit: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    key = create_key()
    await audit.write(Act(type="x", project=key, details={"problem": f'"{key}" is no name', f"a{key}b": [key]}), FILE)
    ((_, entry),) = await journal.older()
    assert key.encode() not in entry
    assert key not in JsonFormatter("gateway").format(caplog.records[0])
    assert b"sy-... is no name" in entry.replace(b'\\"', b"")


async def test_a_store_that_is_away_loses_no_line_and_is_counted(
    journal: Journal, audit: AuditLog, caplog: pytest.LogCaptureFixture
) -> None:
    lost = list[bool]()
    audit.on_unwritten = lambda: lost.append(True)
    await journal.aclose()
    await audit.write(Act(type="model.loaded"), BY)
    assert lost == [True]
    assert [record.levelname for record in caplog.records] == ["INFO", "ERROR"]


async def test_without_a_store_acts_are_in_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    await AuditLog(None).write(Act(type="model.loaded"), BY)
    assert len(caplog.records) == 1


async def test_an_act_whose_caller_is_cancelled_is_written(journal: Journal, audit: AuditLog) -> None:
    task = asyncio.create_task(audit.write(Act(type="model.loaded"), BY))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(10):
        while not await journal.older():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("days", "left"), [(1, 0), (0, 2)])
async def test_old_acts_are_forgotten(tmp_path: Path, days: int, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "MOST", 2)
    opened = open_journal(f"sqlite://{tmp_path}/other.db")
    far = AuditLog(opened, now=lambda: 2 * NOW)
    for _ in range(3):
        await far.write(Act(type="model.loaded"), BY)
    following = asyncio.create_task(far.follow(days))
    async with asyncio.timeout(10):
        while len(await opened.older()) != left:
            await asyncio.sleep(0.01)
    following.cancel()
    await far.aclose()
