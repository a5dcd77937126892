"""Who follows docs/how-to/read-the-bill.md gets the bill of the calls that were made, at the page's prices."""

import asyncio
import json
import os
import re
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from switchyard.catalog import Catalog, CatalogFile, Model, State
from tests.docs.following import blocks
from tests.docs.test_how_to import HOW_TO
from tests.switchyard.gateway.conftest import Call, ModelServer, running
from tests.switchyard.gateway.quota.limited import counting
from tests.switchyard.gateway.tenants.access import KEYS, key
from tests.switchyard.gateway.test_process import process
from tests.switchyard.gateway.test_v2 import infer

PAGE = HOW_TO / "read-the-bill.md"
DOLLARS = 600 * 0.15e-6 + 400 * 0.075e-6 + 50 * 0.60e-6, 0.0015  # of a chat, of an image


async def respond(call: Call) -> None:
    await (infer if "/v2/" in call.scope["path"] else counting(1000, 50, cached=400))(call)


def write_tenants(path: str) -> None:
    """Write the page's document with a tenant and its key, and an administrator's."""
    document: dict[str, list[Any]] = defaultdict(list)
    document["tenants"] = [
        {"name": "acme", "keys": [key("acme")]},
        {"name": "operators", "keys": [key("scraper", roles=["admin"])]},
    ]
    for block in blocks(PAGE):
        if block.language == "yaml":
            for name, rows in yaml.safe_load(block.text).items():
                document[name] += rows
    Path(path).write_text(yaml.safe_dump(dict(document)))


def commands(url: str, folder: Path) -> Iterator[str]:
    """The page's commands after its setting, each with the exports of its block, of this gateway, folder and week."""
    today = datetime.now(UTC).date()
    here = {
        "http://localhost:8000": url,
        "/var/lib/switchyard": str(folder),
        "2026-11-01": str(today - timedelta(days=7)),
        "2026-11-28": str(today - timedelta(days=1)),
        "2026-11-30": str(today + timedelta(days=1)),
    }
    for block in [block for block in blocks(PAGE) if block.language == "sh"][1:]:
        exports = ""
        for line in block.text.splitlines():
            for old, new in here.items():
                line = line.replace(old, new)
            if line.startswith("export "):
                exports += f"{line}\n"
            else:
                yield exports + line


async def bash(command: str, folder: Path, **env: str) -> str:
    """What a command prints that succeeds, typed in ``folder``."""
    env["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    child = await asyncio.create_subprocess_exec(
        "bash",
        "-ec",
        command,
        cwd=folder,
        env={**os.environ, **env},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(120):
        stdout, stderr = await child.communicate()
    assert child.returncode == 0, f"{command}\n{stdout.decode()}{stderr.decode()}"
    return stdout.decode()


@asynccontextmanager
async def called(tmp_path: Path) -> AsyncIterator[str]:
    """A gateway with the page's settings and prices, by which acme has asked for a chat and an image."""
    (setting, *_) = [block.text for block in blocks(PAGE) if block.language == "sh"]
    env = dict(re.findall(r"(SWITCHYARD_\w+)=(\S+)", setting.replace("/var/lib/switchyard", str(tmp_path))))
    assert env.keys() == {"SWITCHYARD_TENANTS", "SWITCHYARD_STORE"}
    env["SWITCHYARD_TENANTS"] = str(tmp_path / env["SWITCHYARD_TENANTS"])
    write_tenants(env["SWITCHYARD_TENANTS"])
    catalog, ready = CatalogFile(tmp_path / "catalog.json"), State(phase="ready")
    async with running(ModelServer(respond)) as model, httpx.AsyncClient(timeout=30) as client:
        kinds: dict[str, Any] = {"chat-fast": "llm", "ocr": "vision"}
        catalog.replace(Catalog({name: Model(name=name, kind=kinds[name], url=model, state=ready) for name in kinds}))
        async with process(tmp_path / "catalog.json", **env) as (_, url):
            client.headers["authorization"] = f"Bearer {KEYS['acme']}"
            for path, body in (
                ("/v1/chat/completions", {"model": "chat-fast", "messages": []}),
                ("/v2/models/ocr/infer", {"inputs": []}),
            ):
                assert (await client.post(url + path, json=body)).status_code == 200
            yield url


@pytest.mark.parametrize("whose", ["acme", "scraper"])  # the tenant and an administrator see the same
async def test_the_bill_of_the_page_has_what_was_called_at_its_prices(tmp_path: Path, whose: str) -> None:
    keys = {"KEY": KEYS[whose], "SWITCHYARD_KEY": KEYS[whose], "COLUMNS": "200"}
    async with called(tmp_path) as url:
        printed = {command: await bash(command, tmp_path, **keys) for command in commands(url, tmp_path)}
    pages = {command: json.loads(text) for command, text in printed.items() if "curl" in command}
    costs, usage = ([row for bucket in page["data"] for row in bucket["results"]] for page in pages.values())
    assert [(row["line_item"], row["amount"]["nano_dollars"]) for row in costs] == [
        ("chat-fast", round(DOLLARS[0] * 1e9)),
        ("ocr", round(DOLLARS[1] * 1e9)),
    ]
    (of_key,) = usage
    assert (of_key["api_key_id"], of_key["num_model_requests"]) == ("acme-key", 1)
    assert (of_key["input_tokens"], of_key["input_cached_tokens"], of_key["output_tokens"]) == (1000, 400, 50)
    tables = [text for command, text in printed.items() if re.search(r"switchyard usage( --by.*)?$", command)]
    assert len(tables) == 3
    assert all("chat-fast" in table and "ocr" in table for table in tables)
    assert list((tmp_path / "bills").glob("usage-*.parquet"))
