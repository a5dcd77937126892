"""Who follows docs/how-to/set-a-budget.md sees what it promises, with OpenAI's client."""

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

from switchyard.catalog import Catalog, CatalogFile, Model, State
from switchyard.gateway.quota.webhook import Webhook
from switchyard.gateway.tenants.keys import create_key, digest
from tests.docs.following import blocks, copy_of_the_tree, follow
from tests.docs.pages import ROOT
from tests.docs.test_add_a_tenant import gateway_of, python
from tests.docs.test_how_to import HOW_TO, run
from tests.ports import free_port
from tests.switchyard.gateway.conftest import ModelServer, running
from tests.switchyard.gateway.test_process import process

PAGE = HOW_TO / "set-a-budget.md"


async def test_the_third_request_of_a_minute_is_a_rate_limit_error_and_an_edit_counts_what_was_used(
    tmp_path: Path,
) -> None:
    (document,) = [block.text for block in blocks(PAGE) if block.language == "yaml"]
    check, _ = [block.text.split() for block in blocks(PAGE) if block.language == "sh"]
    example, _ = [block.text for block in blocks(PAGE) if block.language == "python"]
    key = create_key()
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text(re.sub("0{64}", digest(key.encode()).hex(), document))
    assert check == ["switchyard", "key", "check", "tenants.yaml"]
    assert "fine, 1 tenant with 1 key" in run(ROOT, "python", "-m", "switchyard.cli", *check[1:-1], str(tenants))

    async with running(ModelServer()) as model:
        chat = Model(name="chat-fast", kind="llm", url=model, state=State(phase="ready"))
        CatalogFile(tmp_path / "catalog.json").replace(Catalog({"chat-fast": chat}))
        store = f"sqlite://{tmp_path}/ledger.db"
        catalog = tmp_path / "catalog.json"
        async with process(catalog, SWITCHYARD_TENANTS=str(tenants), SWITCHYARD_STORE=store) as (_, url):
            program = example.replace("http://localhost:8000", url)
            said = await python(program, SWITCHYARD_KEY=key)
            tenants.write_text(tenants.read_text().replace("most: 2000000", "most: 1"))
            await until_used_up(url, key)
            after = await python(program, SWITCHYARD_KEY=key)
    *fine, last = said.splitlines()
    assert fine == ["fine", "fine"]
    assert re.fullmatch(r"rate_limit_exceeded [1-5]?[0-9]|rate_limit_exceeded 60", last)
    days = [int(line.removeprefix("insufficient_quota ")) / 86400 for line in after.splitlines()]
    assert len(days) == 3
    assert all(0 < some <= 31.1 for some in days)  # until the next month begins


def test_the_webhook_of_the_page_is_the_gateways_and_its_receiver_takes_what_is_signed(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    follow(HOW_TO / "add-a-tenant.md", tree)
    _, make_secret = [block.text for block in blocks(PAGE) if block.language == "sh"]
    subprocess.run(["bash", "-ec", make_secret], cwd=tree, check=True)
    follow(PAGE, tree)
    env, port = gateway_of(tree, tmp_path / "state").env, free_port()
    program = (tree / "ask/for_alerts.py").read_text()
    assert env["BUDGET_WEBHOOK_URL"] == "http://127.0.0.1:9999/budgets"
    receiver = subprocess.Popen(
        [sys.executable, "-c", program.replace("9999", str(port))], cwd=tree, stdout=subprocess.PIPE, text=True
    )
    try:
        until_it_listens(port)
        webhook = Webhook(f"http://127.0.0.1:{port}/budgets", Path(env["BUDGET_WEBHOOK_SECRET_FILE"]))
        asyncio.run(webhook.send("alert_1", b'{"text": "a budget"}'))
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == '{"text": "a budget"}\n'
    finally:
        receiver.kill()
        receiver.communicate()


def until_it_listens(port: int) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError("the page's receiver does not listen")


async def until_used_up(url: str, key: str) -> None:
    """Returns once the gateway has read a budget that is used up: it denies calls, which so count for nothing."""
    headers, body = {"authorization": f"Bearer {key}"}, {"model": "chat-fast", "messages": [], "max_tokens": 1}
    async with asyncio.timeout(90), httpx.AsyncClient() as client:
        while True:
            response = await client.post(f"{url}/v1/chat/completions", headers=headers, json=body)
            if response.json().get("error", {}).get("code") == "insufficient_quota":
                return
            await asyncio.sleep(0.05)
