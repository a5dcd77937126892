"""Edits of the file of tenants are written down as they come into force, once for all gateways of a store."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from switchyard.gateway.audit.differences import NAMES, differences
from switchyard.gateway.audit.edits import TenantsEdits
from switchyard.gateway.audit.log import AuditLog
from switchyard.gateway.tenants.directory import Directory
from switchyard.gateway.tenants.file import TenantsFile
from switchyard.gateway.tenants.keys import create_key
from switchyard.store.factory import open_journal, open_records
from switchyard.store.journal.contract import Journal
from tests.switchyard.gateway.conftest import until

SHA = "0123456789abcdef" * 4


def key(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"k{number}", "sha256": f"{number:064x}", **fields}


async def directory(folder: Path, *tenants: dict[str, Any], **fields: Any) -> Directory:
    path = folder / "some.yaml"
    path.write_text(json.dumps({"tenants": tenants, **fields}))
    file = TenantsFile(path)
    await file.load()
    return file.current


async def test_nothing_changed(tmp_path: Path) -> None:
    acme = {"name": "acme", "keys": [key(1)], "teams": [{"name": "web"}]}
    assert await differences(await directory(tmp_path, acme), await directory(tmp_path, acme)) == {}


async def test_what_was_added_changed_and_removed_is_named(tmp_path: Path) -> None:
    before = await directory(
        tmp_path,
        {"name": "acme", "keys": [key(1), key(2), key(3), key(4)], "teams": [{"name": "web"}, {"name": "old"}]},
        {"name": "globex", "keys": [key(5)]},
        {"name": "gone"},
    )
    requests = {"limit": "requests", "most": 1, "per": "minute"}
    after = await directory(
        tmp_path,
        {
            "name": "acme",
            "models": ["chat"],
            "keys": [key(1, revoked=True), key(2, roles=["admin"]), key(4, limits=[requests])],
            "teams": [{"name": "web", "limits": [requests]}, {"name": "new", "keys": [key(6)]}],
        },
        {"name": "globex", "keys": [{"id": "k5", "sha256": SHA}]},
        {"name": "added"},
        prices=[{"models": ["*"], "input": 1}],
    )
    assert await differences(before, after) == {
        "tenants_added": ["added"],
        "tenants_changed": ["acme"],
        "tenants_removed": ["gone"],
        "teams_added": ["acme/new"],
        "teams_changed": ["acme/web"],
        "teams_removed": ["acme/old"],
        "keys_added": ["k6"],
        "keys_changed": ["k1", "k2", "k4", "k5"],
        "keys_removed": ["k3"],
        "prices_changed": True,
    }


async def test_a_key_that_moved_to_another_owner_is_changed(tmp_path: Path) -> None:
    before = await directory(tmp_path, {"name": "acme", "keys": [key(1)]}, {"name": "globex"})
    after = await directory(tmp_path, {"name": "acme"}, {"name": "globex", "keys": [key(1)]})
    assert await differences(before, after) == {"keys_changed": ["k1"]}


async def test_long_lists_are_cut_and_counted(tmp_path: Path) -> None:
    before = await directory(tmp_path, {"name": "acme"})
    after = await directory(tmp_path, {"name": "acme", "keys": [key(number) for number in range(5000)]})
    found = await differences(before, after)
    assert (len(found["keys_added"]), found["keys_added_count"]) == (NAMES, 5000)


class Watched:
    """A file of tenants and gateways that follow it, with one store."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tenants.yaml"
        self.url = f"sqlite://{folder}/store.db"
        self.journal: Journal = open_journal(self.url)

    def write(self, *keys: dict[str, Any]) -> None:
        self.path.write_text(yaml.safe_dump({"tenants": [{"name": "acme", "keys": list(keys)}]}))

    async def acts(self) -> list[dict[str, Any]]:
        return [orjson.loads(entry) for _, entry in await self.journal.older()][::-1]

    @asynccontextmanager
    async def gateway(self) -> AsyncIterator[tuple[TenantsFile, TenantsEdits]]:
        """A gateway that follows the file, and looks for edits when it is told."""
        file, records = TenantsFile(self.path), open_records(self.url)
        await file.load()
        audit = AuditLog(open_journal(self.url))
        edits = TenantsEdits(file, audit, records)
        await edits.look()
        following = asyncio.create_task(file.follow())
        try:
            yield file, edits
        finally:
            following.cancel()
            await asyncio.wait({following})
            await records.aclose()
            await audit.aclose()


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    one = Watched(tmp_path)
    one.write(key(1))
    yield one
    await one.journal.aclose()


async def test_an_edit_is_written_down_once_whatever_the_number_of_gateways(watched: Watched) -> None:
    async with watched.gateway() as (one, edits), watched.gateway() as (other, others_edits):
        assert [act["tenants.updated"] for act in await watched.acts()] == [{"tenants": 1, "keys": 1}]
        watched.write(key(1), key(2))
        await until(lambda: len(one.current) == len(other.current) == 2, 20)
        await asyncio.gather(edits.look(), others_edits.look())
        await edits.look()
        _, act = await watched.acts()
        assert act["actor"] == {"type": "file", "file": {"name": "tenants.yaml"}}
        assert act["tenants.updated"] == {"tenants": 1, "keys": 2, "keys_added": ["k2"]}


async def test_without_a_store_each_gateway_writes_its_own(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    file = TenantsFile(watched.path)
    await file.load()
    edits = TenantsEdits(file, AuditLog(None), None)
    await edits.look()
    await edits.look()
    assert [record.getMessage() for record in caplog.records] == ["audit"]


async def test_a_gateway_that_starts_again_writes_nothing_down(watched: Watched) -> None:
    for _ in range(2):
        async with watched.gateway():
            pass
    assert len(await watched.acts()) == 1


async def test_a_bad_edit_is_written_down_without_what_it_holds(watched: Watched) -> None:
    secret = create_key()
    async with watched.gateway() as (file, edits):
        watched.path.write_text(f"tenants: [{{name: acme, timezone: {secret}}}]")
        await until(lambda: bool(file.problem), 20)
        await edits.look()
        _, act = await watched.acts()
        assert (act["type"], act["outcome"]) == ("tenants.rejected", "invalid")
        assert "is no time zone" in act["tenants.rejected"]["problem"]
        assert secret not in json.dumps(act)
        watched.write(key(1))
        await until(lambda: not file.problem, 20)
        await edits.look()
        assert (await watched.acts())[2]["tenants.updated"] == {"tenants": 1, "keys": 1}
