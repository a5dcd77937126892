"""Who follows docs/how-to/use-jwt.md gets a gateway that takes a login's tokens."""

import json
import re
from pathlib import Path

import jwt
import yaml

from tests.docs.following import blocks, copy_of_the_tree, follow
from tests.docs.test_add_a_tenant import OVERLAY, catalog, python
from tests.docs.test_how_to import HOW_TO, run
from tests.switchyard.gateway.test_process import process
from tests.switchyard.gateway.tokens.issuing import claims, private_key, published

PAGE = HOW_TO / "use-jwt.md"


async def test_a_token_of_the_page_sees_its_tenants_models(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    follow(PAGE, tree)
    (check,) = [block.text.strip() for block in blocks(PAGE) if block.language == "sh"]
    assert "fine, 2 tenants with 0 keys" in run(tree, "python", "-m", "switchyard.cli", *check.split()[1:])
    file = tree / OVERLAY / "tenants.yaml"
    issuer = yaml.safe_load(file.read_text())["jwt"][0]["issuer"]
    said = {"iss": issuer, "organization": "4711", "realm_access": {"roles": ["models-user"]}}
    text = jwt.encode(claims(**said), private_key("RS256"), "RS256", headers={"kid": "one"})
    (example,) = [block.text for block in blocks(PAGE) if block.language == "python"]

    async with published() as login:
        file.write_text(re.sub(r"jwks_url: .*", f"jwks_url: {login.url}", file.read_text()))
        async with process(catalog(tmp_path / "catalog.json"), SWITCHYARD_TENANTS=str(file)) as (_, url):
            shown = await python(example.replace("http://localhost:8000", url), SWITCHYARD_TOKEN=text)
    assert set(json.loads(shown.replace("'", '"'))) == {"chat-fast", "chat-reasoning", "auto"}
