"""Who follows docs/how-to/rotate-a-key.md makes, rotates and revokes a key of a running gateway."""

import asyncio
import os
import sys
from pathlib import Path

import httpx
import yaml

from switchyard.catalog import Catalog, CatalogFile
from switchyard.gateway.tenants.keys import create_key, digest, is_key
from tests.docs.following import blocks
from tests.docs.test_add_a_tenant import python
from tests.docs.test_how_to import HOW_TO
from tests.switchyard.gateway.test_process import process

PAGE = HOW_TO / "rotate-a-key.md"
ADMIN = create_key()


async def command(text: str, url: str) -> str:
    """What a command of the page prints."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "switchyard.cli", *text.split()[1:]),
        env={**os.environ, "SWITCHYARD_KEY": ADMIN, "SWITCHYARD_URL": url},
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        stdout, _ = await child.communicate()
    assert child.returncode == 0, text
    return stdout.decode()


def leaked(folder: Path, *secrets: str) -> list[str]:
    """The files that hold a secret."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return [file.name for file in files if any(secret.encode() in file.read_bytes() for secret in secrets)]


async def test_the_key_of_the_page_is_valid_until_it_is_revoked(tmp_path: Path) -> None:
    create, rotate, show, revoke = [block.text for block in blocks(PAGE) if block.language == "sh"]
    (example,) = [block.text for block in blocks(PAGE) if block.language == "python"]
    keys = [{"id": "acme-admin", "sha256": digest(ADMIN.encode()).hex(), "roles": ["admin"]}]
    tenants = tmp_path / "tenants.yaml"
    tenants.write_text(yaml.safe_dump({"tenants": [{"name": "acme", "keys": keys}]}))
    CatalogFile(tmp_path / "catalog.json").replace(Catalog({}))
    env = {"SWITCHYARD_TENANTS": str(tenants), "SWITCHYARD_STORE": f"sqlite://{tmp_path}/store.db"}

    async with process(tmp_path / "catalog.json", **env) as (_, url), httpx.AsyncClient(base_url=url) as client:

        async def statuses(*secrets: str) -> list[int]:
            sent = [{"authorization": f"Bearer {secret}"} for secret in secrets]
            return [(await client.get("/v1/models", headers=headers)).status_code for headers in sent]

        first = (await command(create, url)).strip()
        assert is_key(first.encode())
        second = (await command(rotate, url)).strip()
        assert await statuses(first, second) == [200, 200]
        table = await command(show, url)
        assert "acme-notebooks  acme" in table
        assert first not in table
        await command(revoke, url)
        assert await statuses(first, second) == [401, 401]

        made = await python(example.replace("http://localhost:8000", url), OPENAI_ADMIN_KEY=ADMIN)
        assert is_key(made.strip().encode())
        assert await statuses(made.strip()) == [401]
        assert leaked(tmp_path, first, second, made.strip()) == []
