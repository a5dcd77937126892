"""docs/how-to/run-a-batch.md: the file, the commands and the program of the page run as they stand there."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from switchyard.catalog import CatalogFile
from tests.docs.following import blocks
from tests.docs.pages import DOCS
from tests.switchyard.gateway.conftest import Call, ModelServer, entries, running
from tests.switchyard.gateway.test_process import process

PAGE = DOCS / "how-to" / "run-a-batch.md"
TEXTS = {block.language: block.text for block in blocks(PAGE)}


async def embedded(call: Call) -> None:
    text = json.loads(call.body)["input"]
    data: Any = [{"object": "embedding", "index": 0, "embedding": [float(len(text))]}]
    await call.answer({"object": "list", "model": "embed", "data": data, "usage": {"prompt_tokens": 1}})


async def run(folder: Path, url: str, *command: str) -> str:
    paths = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    child = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env={**os.environ, "PATH": paths, "SWITCHYARD_URL": url, "SWITCHYARD_KEY": ""},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(child.communicate(), 60)
    assert child.returncode == 0, errors.decode()
    return output.decode()


async def test_the_file_the_commands_and_the_program_of_the_page_run(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_text(TEXTS["json"])
    submit, listed, results = [line.partition("#")[0].split() for line in TEXTS["sh"].splitlines()]
    kept = {"SWITCHYARD_STORE": f"sqlite://{tmp_path}/store.db", "SWITCHYARD_FILES": str(tmp_path / "files")}
    async with running(ModelServer(embedded)) as model:
        CatalogFile(tmp_path / "catalog.json").replace(entries(model))
        async with process(tmp_path / "catalog.json", **kept) as (_, url):
            batch_id = (await run(tmp_path, url, *submit)).strip()
            assert batch_id in await run(tmp_path, url, *listed)
            await run(tmp_path, url, *[batch_id if word == "<id>" else word for word in results])
            program = TEXTS["python"].replace("http://localhost:8000", url).replace("sleep(2)", "sleep(0.1)")
            printed = await run(tmp_path, url, sys.executable, "-c", program.replace("sy-…", "any"))
    for text in (printed, (tmp_path / "output.jsonl").read_text()):
        rows = {row["custom_id"]: row["response"]["body"] for row in map(json.loads, text.split("\n")[:2])}
        assert {name: body["data"][0]["embedding"] for name, body in rows.items()} == {"a": [14.0], "b": [14.0]}
    assert (tmp_path / "errors.jsonl").read_bytes() == b""
