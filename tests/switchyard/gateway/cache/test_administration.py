"""``switchyard cache`` and its routes: what is held, and what is forgotten of whom."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from typer.testing import CliRunner

from switchyard.cli.app import app
from tests.switchyard.gateway.cache.cached import Counted, ask, result, tenants
from tests.switchyard.gateway.cache.test_items import embed
from tests.switchyard.gateway.conftest import Bench, Call
from tests.switchyard.gateway.openapi.documents import DOCUMENT, problems
from tests.switchyard.gateway.recordings.recorded import gateways
from tests.switchyard.gateway.tenants.access import KEYS

PATH = "/v1/organization/cache"
OF_ADMIN = {"authorization": f"Bearer {KEYS['scraper']}"}


async def both(call: Call) -> None:
    """A model of chats, and of embeddings."""
    await (embed if "input" in json.loads(call.body) else Counted())(call)


def command(bench: Bench) -> Callable[..., Awaitable[tuple[int, str]]]:
    async def run(*arguments: str) -> tuple[int, str]:
        env = {"SWITCHYARD_KEY": KEYS["scraper"], "SWITCHYARD_URL": bench.url}
        done = await asyncio.to_thread(CliRunner().invoke, app, ["cache", *arguments], env=env)
        return done.exit_code, done.stdout + done.stderr

    return run


async def test_what_is_held_is_told_and_forgotten_by_tenant(tmp_path: Path) -> None:
    async with gateways(tmp_path, both, tenants=await tenants(tmp_path)) as (bench,):
        run = command(bench)
        for tenant in ("acme", "globex"):
            assert result(await ask(bench, tenant=tenant)) == (200, "miss")
        assert result(await ask(bench)) == (200, "hit")
        await ask(bench, {"model": "embed", "input": ["a", "b"]}, path="/v1/embeddings")
        assert bench.served._cache is not None
        await bench.served._cache.aclose()

        code, told = await run("stats")
        lines = [line.split() for line in told.splitlines()]
        assert (code, lines[1][:3], lines[2][:3]) == (0, ["acme", "1", "2"], ["globex", "1", "0"])
        assert told.splitlines()[-1] == "1 hit, 3 miss, 0 joined, 0 bypass"
        assert json.loads((await run("stats", "--json"))[1])["data"][0]["scope"] == "tenant:acme"

        assert await run("clear", "--tenant", "acme") == (0, "3 responses and embeddings are forgotten, of 1 caches\n")
        assert result(await ask(bench, tenant="globex")) == (200, "hit")
        assert result(await ask(bench)) == (200, "miss")
        assert (await run("clear"))[1].startswith("2 responses and embeddings are forgotten, of 2 caches")
        assert result(await ask(bench, tenant="globex")) == (200, "miss")


async def test_the_routes_are_an_administrators_and_as_the_document_says(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        for method in ("GET", "DELETE"):
            denied = await bench.http.request(method, PATH, headers={"authorization": f"Bearer {KEYS['acme']}"})
            assert (denied.status_code, denied.json()["error"]["code"]) == (403, "permission_denied")
            said = await bench.http.request(method, PATH + "?project_ids[]=acme", headers=OF_ADMIN)
            schema = DOCUMENT["paths"][PATH][method.lower()]["responses"]["200"]["content"]["application/json"][
                "schema"
            ]
            assert (said.status_code, problems(schema, said.json())) == (200, [])
            for query in ("project_ids=nobody", "limit=1"):
                assert (await bench.http.request(method, f"{PATH}?{query}", headers=OF_ADMIN)).status_code == 400


async def test_tenants_that_share_are_one_cache(tmp_path: Path) -> None:
    shared = {"cache": {"share": "labs"}}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, shared, shared)) as (bench,):
        await ask(bench)
        (scope,) = (await bench.http.get(PATH, headers=OF_ADMIN)).json()["data"]
        assert (scope["scope"], scope["tenants"], scope["responses"]) == ("share:labs", ["acme", "globex"], 1)


async def test_a_gateway_without_keys_has_one_cache_or_none(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), cache_seconds=60) as (bench,):
        await bench.http.post("/v1/chat/completions", json={"model": "chat", "messages": [], "temperature": 0})
        (scope,) = (await bench.http.get(PATH)).json()["data"]
        assert (scope["scope"], scope["tenants"], scope["responses"]) == ("open", [], 1)
        assert (await bench.http.delete(PATH)).json()["deleted"] == 1
