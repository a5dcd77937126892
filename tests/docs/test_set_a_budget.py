"""Who follows docs/how-to/set-a-budget.md sees what it promises, with OpenAI's client."""

import re
from pathlib import Path

from switchyard.catalog import Catalog, CatalogFile, Model, State
from switchyard.gateway.tenants.keys import create_key, digest
from tests.docs.following import blocks
from tests.docs.pages import ROOT
from tests.docs.test_add_a_tenant import python
from tests.docs.test_how_to import HOW_TO, run
from tests.switchyard.gateway.conftest import ModelServer, running
from tests.switchyard.gateway.test_process import process

PAGE = HOW_TO / "set-a-budget.md"


async def test_the_third_request_within_a_minute_is_a_rate_limit_error(tmp_path: Path) -> None:
    (document,) = [block.text for block in blocks(PAGE) if block.language == "yaml"]
    (check,) = [block.text.split() for block in blocks(PAGE) if block.language == "sh"]
    (example,) = [block.text for block in blocks(PAGE) if block.language == "python"]
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
            said = await python(example.replace("http://localhost:8000", url), SWITCHYARD_KEY=key)
    *fine, last = said.splitlines()
    assert fine == ["fine", "fine"]
    assert re.fullmatch(r"rate_limit_exceeded [1-5]?[0-9]|rate_limit_exceeded 60", last)
