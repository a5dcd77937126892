"""``switchyard key`` at a running gateway."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from switchyard.cli.app import app
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.tenants.keys import is_key
from switchyard.store.factory import open_records
from tests.switchyard.gateway.administration.test_keys import status_with
from tests.switchyard.gateway.conftest import Bench, gateway
from tests.switchyard.gateway.tenants.access import KEYS, tenants

Run = Callable[..., Awaitable[tuple[int, str, str]]]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    keys = StoredKeys(open_records(f"sqlite://{tmp_path}/store.db"))
    try:
        async with gateway(tmp_path, tenants=await tenants(tmp_path), keys=keys) as one:
            yield one
    finally:
        await keys.aclose()


@pytest.fixture
def run(bench: Bench) -> Run:
    async def command(*arguments: str, key: str = KEYS["admin"], url: str = bench.url) -> tuple[int, str, str]:
        env = {"SWITCHYARD_KEY": key, "SWITCHYARD_URL": url}
        done = await asyncio.to_thread(CliRunner().invoke, app, ["key", *arguments], env=env)
        return done.exit_code, done.stdout, done.stderr

    return command


async def test_a_key_is_created_listed_rotated_and_revoked(bench: Bench, run: Run) -> None:
    code, first, said = await run(
        "create", "ci", "--tenant", "acme", "--team", "readers", "--name", "CI", "--days", "9"
    )
    assert code == 0, said
    assert is_key(first.strip().encode())
    assert "ci of acme/readers is valid until " in said
    assert first.strip() not in said

    code, table, _ = await run("list")
    rows = [line.split() for line in table.splitlines()]
    assert rows[0] == ["ID", "TENANT", "ROLES", "STATUS", "EXPIRES", "LAST", "USED", "IN"]
    (row,) = [row for row in rows if row[0] == "ci"]
    assert (row[1:4], row[5:]) == (["acme/readers", "use", "active"], ["-", "store"])
    assert first.strip() not in table

    code, second, said = await run("rotate", "ci", "--overlap-hours", "0.5")
    assert (code, "The old secret is valid until" in said) == (0, True)
    assert [await status_with(bench, key.strip(), "ocr") for key in (first, second)] == [400, 400]  # the kind is wrong
    assert (await run("revoke", "ci"))[0] == 0
    assert [await status_with(bench, key.strip(), "ocr") for key in (first, second)] == [401, 401]


async def test_programs_read_json(run: Run) -> None:
    made = json.loads((await run("create", "ci", "--tenant", "globex", "--days", "0", "--json"))[1])
    assert (made["id"], made["tenant"], made["expires_at"]) == ("ci", "globex", None)
    assert "ci" in [key["id"] for key in json.loads((await run("list", "--json"))[1])]
    assert is_key(json.loads((await run("rotate", "ci", "--json"))[1])["value"].encode())
    assert json.loads((await run("revoke", "ci", "--json"))[1])["deleted"] is True


async def test_a_list_has_every_page(bench: Bench, run: Run) -> None:
    for number in range(120):
        body = {"name": "x", "id": f"ci-{number}"}
        await bench.http.post("/v1/organization/admin_api_keys", json=body, headers={"api-key": KEYS["admin"]})
    assert len(json.loads((await run("list", "--json"))[1])) == 127


@pytest.mark.parametrize(
    ("arguments", "changes", "sentence"),
    [
        (("list",), {"key": ""}, "SWITCHYARD_KEY is not set"),
        (("list",), {"key": "sy-é"}, "characters that no key has"),
        (("list",), {"key": KEYS["acme"]}, "has no role admin"),
        (("list",), {"key": KEYS["unknown"]}, "is not known here"),
        (("list",), {"url": "http://127.0.0.1:1"}, "--url names the gateway"),
        (("list",), {"url": "nothing"}, "is not an http or https URL"),
        (("revoke", "nobody"), {}, "there is no key 'nobody'"),
        (("rotate", "acme-key"), {}, "is in tenants.yaml: change it there"),
        (("create", "ci", "--tenant", "nobody"), {}, "there is no tenant 'nobody'"),
    ],
)
async def test_what_goes_wrong_is_said_in_a_sentence(
    run: Run, arguments: tuple[str, ...], changes: dict[str, str], sentence: str
) -> None:
    code, out, said = await run(*arguments, **changes)
    assert (code, out) == (1, "")
    assert said.startswith("error: ")
    assert sentence in said


async def test_options_of_a_gateway_need_a_tenant(run: Run) -> None:
    code, _, said = await run("create", "ci", "--team", "readers")
    assert (code, "--tenant asks for" in said) == (2, True)
