"""``GET /v1/organization/audit_logs``, by OpenAI's client: who did what to keys and models, page by page."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from tritonclient.grpc import service_pb2

from switchyard.gateway.administration import audit_logs
from switchyard.gateway.audit.log import Act, Actor, AuditLog
from switchyard.gateway.keys.stored_keys import StoredKeys
from switchyard.gateway.tenants.keys import FORM
from switchyard.store.factory import open_journal, open_records
from tests.switchyard.gateway.conftest import Bench, gateway
from tests.switchyard.gateway.openapi.documents import DOCUMENT, problems
from tests.switchyard.gateway.tenants.access import KEYS, tenants
from tests.switchyard.gateway.test_v2 import infer, rpc_gateway

ROUTE, KEY_ROUTE = "/v1/organization/audit_logs", "/v1/organization/admin_api_keys"
ADMIN = {"authorization": f"Bearer {KEYS['admin']}"}


@pytest.fixture
async def audit(tmp_path: Path) -> AsyncIterator[AuditLog]:
    opened = AuditLog(open_journal(f"sqlite://{tmp_path}/store.db"))
    yield opened
    await opened.aclose()


@pytest.fixture
async def bench(tmp_path: Path, audit: AuditLog) -> AsyncIterator[Bench]:
    keys = StoredKeys(open_records(f"sqlite://{tmp_path}/store.db"))
    try:
        async with gateway(tmp_path, tenants=await tenants(tmp_path), keys=keys, audit=audit) as one:
            one.http.headers.update(ADMIN)
            yield one
    finally:
        await keys.aclose()


async def acts(bench: Bench, **parameters: Any) -> list[dict[str, Any]]:
    response = await bench.http.get(ROUTE, params=parameters)
    assert response.status_code == 200, response.text
    assert problems(DOCUMENT["components"]["schemas"]["AuditLogList"], response.json()) == []
    found: list[dict[str, Any]] = response.json()["data"]
    return found


async def test_openais_client_reads_who_did_what_to_which_key(bench: Bench) -> None:
    async with openai.AsyncOpenAI(base_url=bench.url + "/v1", api_key="x", admin_api_key=KEYS["admin"]) as client:
        made = await client.admin.organization.admin_api_keys.create(
            name="CI", extra_body={"id": "ci", "tenant": "globex"}, extra_headers={"x-request-id": "first"}
        )
        await bench.http.post(f"{KEY_ROUTE}/ci/rotate", json={"overlap_seconds": 0})
        await client.admin.organization.admin_api_keys.delete("ci")
        logs = [log async for log in client.admin.organization.audit_logs.list(limit=2)]
    assert [log.type for log in logs] == ["api_key.deleted", "api_key.updated", "api_key.created"]
    created = logs[2]
    assert created.api_key_created is not None
    assert (created.api_key_created.id, created.api_key_created.data.scopes) == ("ci", ["use"])  # type: ignore[union-attr]
    assert created.project is not None
    assert created.project.id == "globex"
    assert created.actor is not None
    assert created.actor.api_key is not None
    assert created.actor.api_key.id == "admin-key"
    shown = created.model_dump()
    assert (shown["source"], shown["outcome"]) == ({"ip_address": "127.0.0.1", "request_id": "first"}, "succeeded")
    assert made.value not in (await bench.http.get(ROUTE)).text


async def test_an_act_that_failed_is_there_with_its_code(bench: Bench) -> None:
    await bench.http.delete(f"{KEY_ROUTE}/nobody")
    await bench.http.post(KEY_ROUTE, json={"tenant": "nobody"})
    await bench.http.post(KEY_ROUTE, json={"tenant": "nobody", "id": "ci"})
    await bench.http.post(KEY_ROUTE, json={"tenant": "acme", "id": KEYS["acme"]})  # which is a secret
    found = [(act["type"], act["outcome"], act[act["type"]]["id"]) for act in await acts(bench)]
    created = [("api_key.created", "invalid_value", key_id) for key_id in ("", "ci", "")]
    assert found == [*created, ("api_key.deleted", "not_found", "nobody")]


async def test_to_look_is_no_act(bench: Bench) -> None:
    for path in (KEY_ROUTE, f"{KEY_ROUTE}/acme-key", ROUTE, "/v1/models"):
        await bench.http.get(path)
    assert await acts(bench) == []


async def test_only_an_admin_reads_it(bench: Bench) -> None:
    response = await bench.http.get(ROUTE, headers={"authorization": f"Bearer {KEYS['acme']}"})
    assert response.status_code == 403


async def test_models_that_are_loaded_over_http_and_grpc_are_acts(tmp_path: Path, audit: AuditLog) -> None:
    async with rpc_gateway(tmp_path, infer, tenants=await tenants(tmp_path), audit=audit) as rpc:
        rpc.bench.http.headers.update(ADMIN)
        override = {"parameters": {"config": "{}"}}
        await rpc.bench.http.post("/v2/repository/models/ocr/load")
        await rpc.bench.http.post("/v2/repository/models/ocr/load", json=override)
        await rpc.bench.http.post("/v2/repository/models/nobody/unload")
        request = service_pb2.RepositoryModelUnloadRequest(model_name="ocr")
        await rpc.stub.RepositoryModelUnload(request, metadata=tuple(ADMIN.items()))
        await rpc.bench.http.post("/v2/models/ocr/infer", json={"inputs": []})
        found = [(act["type"], act["outcome"], act[act["type"]]) for act in await acts(rpc.bench)]
    assert found == [
        ("model.unloaded", "succeeded", {"id": "ocr"}),
        ("model.unloaded", "model_not_found", {"id": "nobody"}),
        ("model.loaded", "succeeded", {"id": "ocr", "changed": "configuration"}),
        ("model.loaded", "succeeded", {"id": "ocr"}),
    ]


async def test_a_gateway_without_keys_writes_its_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with gateway(tmp_path) as bench:
        await bench.http.post("/v2/repository/models/ocr/load")
        assert (await bench.http.get(ROUTE)).status_code == 501
    (line,) = [record for record in caplog.records if record.getMessage() == "audit"]
    assert line.__dict__["audit"]["actor"] == {"type": "local"}


async def filled(audit: AuditLog, count: int) -> None:
    for number in range(count):
        tenant, kind = ("acme", "globex")[number % 2], ("api_key.created", "model.loaded")[number % 3 == 0]
        actor = Actor({"type": "api_key", "api_key": {"id": f"admin-{number % 2}"}}, None)
        await audit.write(Act(type=kind, project=tenant, details={"id": f"k{number}"}), actor)


def ids(found: list[dict[str, Any]]) -> list[int]:
    return [int(act[act["type"]]["id"][1:]) for act in found]


async def test_pages_go_back_and_forth(bench: Bench, audit: AuditLog) -> None:
    await filled(audit, 7)
    first = (await bench.http.get(ROUTE, params={"limit": 3})).json()
    assert (ids(first["data"]), first["has_more"]) == ([6, 5, 4], True)
    second = (await bench.http.get(ROUTE, params={"limit": 3, "after": first["last_id"]})).json()
    assert (ids(second["data"]), second["has_more"]) == ([3, 2, 1], True)
    last = (await bench.http.get(ROUTE, params={"limit": 3, "after": second["last_id"]})).json()
    assert (ids(last["data"]), last["has_more"]) == ([0], False)
    back = (await bench.http.get(ROUTE, params={"limit": 3, "before": second["first_id"]})).json()
    assert (ids(back["data"]), back["has_more"]) == ([6, 5, 4], False)


async def test_filters_let_through_what_all_of_them_accept(
    bench: Bench, audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_logs, "_READ_AT_ONCE", 4)
    await filled(audit, 12)
    assert ids(await acts(bench, **{"project_ids[]": "acme"})) == [10, 8, 6, 4, 2, 0]
    assert ids(await acts(bench, **{"event_types[]": ["model.loaded", "x"], "project_ids[]": "acme"})) == [6, 0]
    assert ids(await acts(bench, **{"actor_ids": "admin-1", "limit": 2})) == [11, 9]
    assert ids(await acts(bench, **{"resource_ids[]": ["k3", "k4"]})) == [4, 3]
    now = (await acts(bench, limit=1))[0]["effective_at"]
    assert ids(await acts(bench, **{"effective_at[gt]": now})) == []
    assert len(await acts(bench, **{"effective_at[gte]": now - 60, "effective_at[lte]": now})) == 12


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "after=x", "before=x", "actor_emails=a", "effective_at[gt]=x", "effective_at=1"]
)
async def test_what_cannot_be_asked_is_said(bench: Bench, query: str) -> None:
    response = await bench.http.get(f"{ROUTE}?{query}")
    assert (response.status_code, response.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_an_after_and_a_before_are_one_too_many(bench: Bench) -> None:
    assert (await bench.http.get(f"{ROUTE}?after=1&before=2")).status_code == 400


async def test_a_store_that_is_away_is_said(bench: Bench, audit: AuditLog) -> None:
    await audit.aclose()
    response = await bench.http.get(ROUTE)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
    assert (await bench.http.post(KEY_ROUTE, json={"name": "x"})).status_code == 200
    assert "gateway_audit_unwritten_total 1.0" in (await bench.http.get("/metrics")).text.splitlines()


async def test_no_act_holds_a_key_whatever_a_client_sends(bench: Bench) -> None:
    secret = KEYS["globex"]
    await bench.http.delete(f"{KEY_ROUTE}/{secret}", headers={"x-request-id": secret})
    await bench.http.post(KEY_ROUTE, json={"name": secret})
    found = await acts(bench)
    assert len(found) == 2
    assert re.search(FORM, json.dumps(found)) is None
