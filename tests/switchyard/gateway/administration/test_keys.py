"""Keys at run time, by OpenAI's own client where it knows the route: made, used, listed, rotated, revoked."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import yaml

from switchyard.gateway.keys import stored_keys
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.tenants.keys import is_key
from switchyard.store.factory import open_records
from tests.switchyard.gateway.conftest import Bench, gateway, until
from tests.switchyard.gateway.openapi.documents import DOCUMENT, problems
from tests.switchyard.gateway.quota import limited
from tests.switchyard.gateway.tenants.access import KEYS, document, tenants

ROUTE = "/v1/organization/admin_api_keys"
ADMIN = {"authorization": f"Bearer {KEYS['admin']}"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    keys = StoredKeys(open_records(f"sqlite://{tmp_path}/store.db"))
    try:
        async with gateway(tmp_path, tenants=await tenants(tmp_path), keys=keys) as one:
            one.http.headers.update(ADMIN)
            yield one
    finally:
        await keys.aclose()


async def created(bench: Bench, **fields: Any) -> Any:
    response = await bench.http.post(ROUTE, json={"name": "CI", "tenant": "globex", **fields})
    assert response.status_code == 200, response.text
    assert problems(DOCUMENT["components"]["schemas"]["NewKey"], response.json()) == []
    return response.json()


async def status_with(bench: Bench, secret: str, model: str = "chat") -> int:
    body = {"model": model, "messages": []}
    sent = {"authorization": f"Bearer {secret}"}
    return (await bench.http.post("/v1/chat/completions", json=body, headers=sent)).status_code


async def test_openais_client_makes_lists_retrieves_and_deletes_a_key(bench: Bench) -> None:
    async with openai.AsyncOpenAI(base_url=bench.url + "/v1", api_key="x", admin_api_key=KEYS["admin"]) as client:
        routes, began = client.admin.organization.admin_api_keys, int(time.time())
        made = await routes.create(name="CI of acme", expires_in_seconds=3600)
        assert is_key(made.value.encode())
        assert made.redacted_value == f"sy-...{made.value[-4:]}"
        assert (made.owner.name, made.name) == ("acme", "CI of acme")
        assert made.expires_at is not None
        assert began + 3600 <= made.expires_at <= time.time() + 3600
        assert await status_with(bench, made.value) == 200

        shown = await routes.retrieve(made.id)
        assert shown.model_dump(exclude={"value"}) == made.model_dump(exclude={"value"})
        listed = [key.id async for key in routes.list(limit=3)]
        assert listed == [
            f"{name}-key" for name in ("acme", "admin", "scraper", "expired", "revoked", "team", "globex")
        ] + [made.id]
        newest = await routes.list(limit=1, order="desc")
        assert [key.id for key in newest.data] == [made.id]

        deleted = await routes.delete(made.id)
        assert (deleted.id, deleted.deleted) == (made.id, True)
        assert await status_with(bench, made.value) == 401


async def test_a_key_is_its_tenants_and_teams_and_has_its_roles(bench: Bench) -> None:
    team = await created(bench, tenant="acme", team="readers", roles=["use"])
    assert team["owner"]["name"] == "acme/readers"
    assert await status_with(bench, team["value"]) == 404  # the team may use ocr alone
    scraper = await created(bench, roles=["admin"])
    assert await status_with(bench, scraper["value"]) == 403
    sent = {"authorization": f"Bearer {scraper['value']}"}
    assert (await bench.http.get(ROUTE, headers=sent)).status_code == 200


async def test_only_an_admin_sees_or_makes_keys(bench: Bench) -> None:
    for method, path in (("GET", ""), ("POST", ""), ("GET", "/a"), ("DELETE", "/a"), ("POST", "/a/rotate")):
        for name, status in (("acme", 403), ("unknown", 401)):
            sent = {"authorization": f"Bearer {KEYS[name]}"}
            response = await bench.http.request(method, ROUTE + path, headers=sent)
            assert response.status_code == status, (method, path)


async def test_a_secret_is_shown_once(bench: Bench) -> None:
    made = await created(bench, id="once")
    for path in (ROUTE, f"{ROUTE}/once", "/metrics"):
        response = await bench.http.get(path)
        assert response.status_code == 200
        assert made["value"] not in response.text


async def test_a_rotated_key_keeps_its_id_and_takes_both_secrets_for_a_while(bench: Bench) -> None:
    made, began = await created(bench, id="ci", expires_in_seconds=3600), int(time.time())
    response = await bench.http.post(f"{ROUTE}/ci/rotate", json={"overlap_seconds": 60})
    new = response.json()
    assert problems(DOCUMENT["components"]["schemas"]["NewKey"], new) == []
    assert (new["id"], new["created_at"]) == ("ci", made["created_at"])
    assert began + 60 <= new["previous_expires_at"] <= time.time() + 60
    assert [await status_with(bench, one["value"]) for one in (made, new)] == [200, 200]

    last = (await bench.http.post(f"{ROUTE}/ci/rotate", json={"overlap_seconds": 0})).json()
    assert [await status_with(bench, one["value"]) for one in (made, new, last)] == [401, 401, 200]
    assert last["previous_expires_at"] is None


async def test_a_rotation_without_a_body_overlaps_by_a_day(bench: Bench) -> None:
    await created(bench, id="ci")
    began = int(time.time())
    new = (await bench.http.post(f"{ROUTE}/ci/rotate")).json()
    assert began + 86400 <= new["previous_expires_at"] <= time.time() + 86400


async def test_a_key_that_has_ended_says_why(bench: Bench) -> None:
    made = await created(bench, id="ci")
    assert [(await bench.http.delete(f"{ROUTE}/ci")).status_code for _ in range(2)] == [200, 200]
    response = await bench.http.get("/v1/models", headers={"authorization": f"Bearer {made['value']}"})
    assert "the API key ci was revoked" in response.json()["error"]["message"]
    assert (await bench.http.get(f"{ROUTE}/ci")).json()["status"] == "revoked"
    rotation = await bench.http.post(f"{ROUTE}/ci/rotate", json={})
    assert (rotation.status_code, rotation.json()["error"]["code"]) == (409, "key_conflict")


async def test_a_key_expires(bench: Bench) -> None:
    made = await created(bench, expires_in_seconds=1)
    async with asyncio.timeout(10):
        while await status_with(bench, made["value"]) == 200:
            await asyncio.sleep(0.05)
    response = await bench.http.get("/v1/models", headers={"authorization": f"Bearer {made['value']}"})
    assert "has expired" in response.json()["error"]["message"]


async def test_a_key_of_the_file_is_listed_and_changed_there_alone(bench: Bench) -> None:
    shown = (await bench.http.get(f"{ROUTE}/acme-key")).json()
    assert (shown["source"], shown["status"], shown["tenant"], shown["created_at"]) == ("file", "active", "acme", 0)
    statuses = {key["id"]: key["status"] for key in (await bench.http.get(ROUTE)).json()["data"]}
    assert (statuses["expired-key"], statuses["revoked-key"]) == ("expired", "revoked")
    for response in (await bench.http.delete(f"{ROUTE}/acme-key"), await bench.http.post(f"{ROUTE}/acme-key/rotate")):
        assert response.status_code == 409
        assert "the key acme-key is in tenants.yaml: change it there" in response.json()["error"]["message"]


BAD_REQUESTS = [
    ({"tenant": "nobody"}, "tenant", "there is no tenant 'nobody'"),
    ({"tenant": "acme", "team": "nobody"}, "team", "tenant acme has no team 'nobody'"),
    ({"tenant": 7}, "tenant", "tenant is a text"),
    ({"id": "Big"}, "id", "lower case letters"),
    ({"name": "x" * 201}, "name", "at most 200"),
    ({"name": "a\nb"}, "name", "printable"),
    ({"roles": []}, "roles", "a list of use, admin"),
    ({"roles": ["root"]}, "roles", "a list of use, admin"),
    ({"roles": [{}]}, "roles", "a list of use, admin"),
    ({"expires_at": 1}, "expires_at", "in the past"),
    ({"expires_at": 2**41}, "expires_at", "a whole number"),
    ({"expires_in_seconds": 0}, "expires_in_seconds", "a whole number"),
    ({"expires_in_seconds": 1.5}, "expires_in_seconds", "a whole number"),
    ({"expires_in_seconds": 1, "expires_at": 9}, "expires_at", "one of"),
    ({"expire": 9}, "expire", "there is no field 'expire'"),
]


@pytest.mark.parametrize(("fields", "param", "sentence"), BAD_REQUESTS)
async def test_what_cannot_be_made_is_said(bench: Bench, fields: dict[str, Any], param: str, sentence: str) -> None:
    response = await bench.http.post(ROUTE, json={"name": "CI", **fields})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_value", param)
    assert sentence in error["message"]


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ('{"name": "a", "tenant": "acme", "tenant": "globex"}', "the field 'tenant' is there twice"),
        ('{"name": "a", "tenant": "acme", "\\u0074enant": "globex"}', "the field 'tenant' is there twice"),
        ('{"name": "a", "roles": ' + "[" * 1000 + "]" * 1000 + "}", "roles is a list"),
    ],
    ids=["twice", "twice in another spelling", "nested"],
)
async def test_a_field_is_there_once(bench: Bench, body: str, sentence: str) -> None:
    response = await bench.http.post(ROUTE, content=body, headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (400, "invalid_value")
    assert sentence in error["message"] or "not nested" in error["message"]


@pytest.mark.parametrize("key_id", ["ci", "acme-key"])
async def test_an_id_that_is_taken_is_a_conflict(bench: Bench, key_id: str) -> None:
    await created(bench, id="ci")
    response = await bench.http.post(ROUTE, json={"name": "CI", "id": key_id})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "key_conflict")


async def test_as_many_keys_as_there_may_be_are_a_conflict(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_keys, "MOST", 1)
    await created(bench)
    response = await bench.http.post(ROUTE, json={"name": "CI"})
    assert (response.status_code, response.json()["error"]["code"]) == (409, "key_conflict")


async def test_a_key_that_is_not_there_is_404(bench: Bench) -> None:
    for response in (
        await bench.http.get(f"{ROUTE}/nobody"),
        await bench.http.delete(f"{ROUTE}/nobody"),
        await bench.http.post(f"{ROUTE}/nobody/rotate", json={}),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "order=up", "after=nobody", "before=ci"])
async def test_a_page_that_is_none_is_said(bench: Bench, query: str) -> None:
    response = await bench.http.get(f"{ROUTE}?{query}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, query.partition("=")[0])


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"{", "application/json", "invalid_json"),
        (b"", "application/json", "invalid_json"),
        (b"[]", "application/json", "invalid_json"),
        (b"{}", "text/plain", "unsupported_media_type"),
        (b'{"name": "' + b"x" * 70_000 + b'"}', "application/json", "body_too_large"),
    ],
)
async def test_a_body_that_cannot_be_read_is_said(bench: Bench, content: bytes, kind: str, code: str) -> None:
    response = await bench.http.post(ROUTE, content=content, headers={"content-type": kind})
    assert response.json()["error"]["code"] == code


async def test_pages_hold_every_key_once_whatever_the_order(bench: Bench) -> None:
    for number in range(5):
        await created(bench, id=f"ci-{number}")
    orders = []
    for order in ("asc", "desc"):
        ids, after = list[str](), ""
        while True:
            page = (await bench.http.get(ROUTE, params={"limit": 5, "order": order, "after": after})).json()
            ids += [key["id"] for key in page["data"]]
            after = page["last_id"]
            if not page["has_more"]:
                break
        orders.append(ids)
    assert orders[0] == orders[1][::-1]
    assert len(set(orders[0])) == len(orders[0]) == 12


async def test_a_gateway_without_a_store_keeps_no_keys(tmp_path: Path) -> None:
    async with gateway(tmp_path, tenants=await tenants(tmp_path)) as bench:
        response = await bench.http.get(ROUTE, headers=ADMIN)
        assert (response.status_code, response.json()["error"]["code"]) == (501, "not_implemented")


async def test_a_store_that_is_away_is_said_and_keys_of_it_stay_valid(tmp_path: Path) -> None:
    keys = StoredKeys(open_records(f"sqlite://{tmp_path}/store.db"))
    async with gateway(tmp_path, tenants=await tenants(tmp_path), keys=keys) as bench:
        bench.http.headers.update(ADMIN)
        made = await created(bench)
        await keys.aclose()
        for response in (await bench.http.get(ROUTE), await bench.http.post(ROUTE, json={"name": "x"})):
            assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
        assert await status_with(bench, made["value"]) == 200
        await keys.try_refresh()
        assert "gateway_keys_outdated 1.0" in (await bench.http.get("/metrics")).text.splitlines()


async def test_a_key_whose_tenant_is_gone_is_rejected(tmp_path: Path, bench: Bench) -> None:
    made = await created(bench, id="ci")
    other = document()
    other["tenants"] = [one for one in other["tenants"] if one["name"] == "acme"]  # type: ignore[attr-defined]
    (tmp_path / "other").mkdir()
    keys = StoredKeys(open_records(f"sqlite://{tmp_path}/store.db"))
    await keys.refresh()
    file = await tenants(tmp_path / "other")
    (tmp_path / "other/tenants.yaml").write_text(yaml.safe_dump(other))
    await file.load()
    async with gateway(tmp_path / "other", tenants=file, keys=keys) as second:
        response = await second.http.get("/v1/models", headers={"authorization": f"Bearer {made['value']}"})
        assert response.status_code == 401
        assert "of a tenant or team that tenants.yaml does not have" in response.json()["error"]["message"]
    await keys.aclose()


async def test_another_gateway_takes_and_rejects_a_key_within_moments(tmp_path: Path, bench: Bench) -> None:
    keys = StoredKeys(open_records(f"sqlite://{tmp_path}/store.db"))
    following = asyncio.create_task(keys.follow())
    (tmp_path / "other").mkdir()
    try:
        async with gateway(tmp_path / "other", tenants=await tenants(tmp_path / "other"), keys=keys) as second:
            made = await created(bench, id="ci")
            await until(lambda: keys.get("ci") is not None, 20)
            assert await status_with(second, made["value"]) == 200
            await bench.http.delete(f"{ROUTE}/ci")
            await until(lambda: (key := keys.get("ci")) is not None and key.revoked is not None, 20)
            assert await status_with(second, made["value"]) == 401
    finally:
        following.cancel()
        await keys.aclose()


async def test_the_last_use_is_shown_of_keys_of_both_places(tmp_path: Path) -> None:
    keys = StoredKeys(open_records(f"sqlite://{tmp_path}/store.db"))
    async with gateway(tmp_path, tenants=await tenants(tmp_path), keys=keys) as bench:
        bench.http.headers.update(ADMIN)
        made = await created(bench, id="ci")
        await status_with(bench, made["value"])
        await keys.uses.flush()
        shown = {key["id"]: key["last_used_at"] for key in (await bench.http.get(ROUTE)).json()["data"]}
        assert {key_id for key_id, at in shown.items() if at} == {"ci", "admin-key"}
    await keys.aclose()


async def test_a_key_of_the_store_has_the_limits_of_its_tenant(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/store.db"
    keys = StoredKeys(open_records(url))
    file = await limited.tenants(tmp_path, {"limit": "requests", "most": 1, "per": "day"})
    async with limited.ledger(url) as ledger, gateway(tmp_path, tenants=file, ledger=ledger, keys=keys) as bench:
        bench.http.headers.update({"authorization": f"Bearer {KEYS['scraper']}"})
        made, other = await created(bench, tenant="acme"), await created(bench, tenant="acme")
        assert [await status_with(bench, one["value"]) for one in (made, other)] == [200, 429]
        assert await status_with(bench, (await created(bench))["value"]) == 200
    await keys.aclose()
