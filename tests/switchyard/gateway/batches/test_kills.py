"""A gateway is killed twice in a batch, and others go on with it: every line is in the output once."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import yaml

from switchyard.catalog import CatalogFile
from tests.switchyard.gateway.batches.helpers import chats, client, echo, ended, results, said, submitted
from tests.switchyard.gateway.conftest import Call, ModelServer, entries, running
from tests.switchyard.gateway.tenants.access import document
from tests.switchyard.gateway.test_process import process

LINES = 1200


async def test_each_line_is_in_the_output_once_though_the_gateway_is_killed_twice(tmp_path: Path, url: str) -> None:
    asked: Counter[str] = Counter()
    paused = asyncio.Event()

    async def slow(call: Call) -> None:
        asked[json.loads(call.body)["messages"][0]["content"]] += 1
        await paused.wait()
        await asyncio.sleep(0.01)
        await echo(call)

    async def answered(count: int) -> None:
        paused.set()
        async with asyncio.timeout(60):
            while len(asked) < count:
                await asyncio.sleep(0.005)

    tenants, catalog = tmp_path / "tenants.yaml", tmp_path / "catalog.json"
    tenants.write_text(yaml.safe_dump(document()))
    kept = {"SWITCHYARD_STORE": url, "SWITCHYARD_FILES": str(tmp_path / "files"), "SWITCHYARD_TENANTS": str(tenants)}
    async with running(ModelServer(slow)) as model:
        CatalogFile(catalog).replace(entries(model))
        async with process(catalog, **kept) as (first, at), client(at, retries=2) as http:
            batch = await submitted(http, chats(LINES))
            await answered(LINES // 4)
            first.kill()
        async with process(catalog, **kept) as (second, at), client(at, retries=2) as http:
            await answered(LINES // 2)
            second.kill()
        async with process(catalog, **kept) as (_, at), client(at, retries=2) as http:
            done = await ended(http, batch, 90)
            output, errors = await results(http, done)
            left = sorted(path.parent.name for path in (tmp_path / "files").rglob("*") if path.is_file())

    assert (done.status, errors) == ("completed", {})
    assert {name: said(row) for name, row in output.items()} == {f"line-{one}": str(one) for one in range(LINES)}
    # What was under way, or not written down yet, was asked again, and no more than that.
    assert sum(asked.values()) < LINES * 1.8
    assert left == ["files", "files"]  # the input and the output: the log is gone


async def test_a_gateway_that_stops_leaves_its_batch_to_another_one_at_once(tmp_path: Path, sqlite_url: str) -> None:
    asked: Counter[str] = Counter()

    async def slow(call: Call) -> None:
        asked[json.loads(call.body)["messages"][0]["content"]] += 1
        await asyncio.sleep(0.02)
        await echo(call)

    catalog = tmp_path / "catalog.json"
    kept = {"SWITCHYARD_STORE": sqlite_url, "SWITCHYARD_FILES": str(tmp_path / "files")}
    async with running(ModelServer(slow)) as model:
        CatalogFile(catalog).replace(entries(model))
        async with process(catalog, **kept) as (first, at), client(at, retries=2) as http:
            batch = await submitted(http, chats(300))
            async with asyncio.timeout(30):
                while len(asked) < 50:
                    await asyncio.sleep(0.005)
            first.terminate()
            await first.wait()
        before = sum(asked.values())
        async with process(catalog, **kept) as (_, at), client(at, retries=2) as http:
            done = await ended(http, batch, 60)
            output, _ = await results(http, done)
    assert len(output) == 300
    assert before < 300
    assert set(asked.values()) == {1}  # lines under way had ended before
