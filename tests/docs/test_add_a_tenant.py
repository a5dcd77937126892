"""Who follows docs/how-to/add-a-tenant.md gets a local gateway that asks for the key of the page."""

import asyncio
import os
import re
import sys
from pathlib import Path

import httpx

from switchyard.catalog import Catalog, CatalogFile, Model, State
from switchyard.gateway.tenants.keys import is_key
from switchyard.local.plan.plan import plan
from switchyard.local.plan.render import documents, render_text
from switchyard.local.plan.workloads import Command, Options
from tests.docs.following import blocks, copy_of_the_tree, follow
from tests.docs.test_how_to import HOW_TO, run
from tests.switchyard.gateway.test_process import process

PAGE = HOW_TO / "add-a-tenant.md"
OVERLAY = "kustomize/overlays/local"
NAMES = {"chat-fast", "chat-reasoning", "auto", "ocr", "embed"}


def catalog(path: Path) -> Path:
    models = [Model(name=name, kind="llm", url="http://127.0.0.1:1", state=State(phase="asleep")) for name in NAMES]
    CatalogFile(path).replace(Catalog({model.name: model for model in models}))
    return path


def gateway_of(tree: Path, state: Path) -> Command:
    """How local mode starts the gateway of the overlay, with the files written that it gives it."""
    options = Options(root=tree, state=state, claims={"model-repository": tree / "model-repository"})
    folder = tree / OVERLAY
    (gateway,) = plan(documents(render_text(folder), folder), options).deployments
    for path, text in gateway.command.files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return gateway.command


async def python(code: str, **env: str) -> str:
    """What a program prints."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={**os.environ, **env}, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(120):
        stdout, _ = await child.communicate()
    assert child.returncode == 0
    return stdout.decode()


async def test_a_tenant_of_the_page_sees_its_models_and_nobody_without_its_key_sees_any(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    follow(PAGE, tree)
    create, check, *_ = [block.text.strip() for block in blocks(PAGE) if block.language == "sh"]
    checked, fine = ["python", "-m", "switchyard.cli", *check.split()[1:]], "fine, 3 tenants with 3 keys"
    assert fine in run(tree, *checked)  # as it is pasted
    file, keys = tree / OVERLAY / "tenants.yaml", []
    for number, command in enumerate(create.splitlines()):
        key, *entry = run(tree, "python", "-m", "switchyard.cli", *command.split()[1:]).splitlines()
        assert is_key(key.encode())
        file.write_text(re.sub(rf'sha256: "{number}{{64}}"', entry[1].strip(), file.read_text()))
        keys.append(key)
    assert fine in run(tree, *checked)

    tenants = gateway_of(tree, tmp_path / "state").env["SWITCHYARD_TENANTS"]
    async with (
        process(
            catalog(tmp_path / "catalog.json"),
            SWITCHYARD_TENANTS=tenants,
            SWITCHYARD_STORE=f"sqlite://{tmp_path}/ledger.db",
        ) as (_, url),
        httpx.AsyncClient(base_url=url) as client,
    ):
        seen = [await models(client, key) for key in keys]
        assert seen == [{"chat-fast", "chat-reasoning", "auto"}, NAMES, NAMES]
        paths = ("/v1/models", "/v1/models/chat-fast", "/health", "/v1/nothing")
        statuses = [(await client.get(path)).status_code for path in paths]
        statuses.append((await client.post("/v1/chat/completions", json={})).status_code)
        assert statuses == [401, 401, 200, 404, 401]


async def models(client: httpx.AsyncClient, key: str) -> set[str]:
    response = await client.get("/v1/models", headers={"authorization": f"Bearer {key}"})
    return {model["id"] for model in response.json()["data"]}
