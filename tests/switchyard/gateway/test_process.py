"""The gateway as a process: how it starts, fails to start and stops."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest

from switchyard.catalog import Catalog, CatalogFile
from switchyard.gateway.tenants.keys import create_key, digest
from switchyard.rpc import health
from switchyard.rpc.protobuf import write
from tests.ports import free_port
from tests.switchyard.gateway.conftest import Call, ModelServer, entries, running

COMMAND = [sys.executable, "-m", "switchyard.gateway"]


@asynccontextmanager
async def process(catalog: Path, **env: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    http, grpc = free_port(), free_port()
    arguments = ["--http_port", str(http), "--grpc_port", str(grpc)]
    environment = {**os.environ, "SWITCHYARD_CATALOG": str(catalog), **env}
    child = await asyncio.create_subprocess_exec(*COMMAND, *arguments, env=environment, stderr=asyncio.subprocess.PIPE)
    url = f"http://127.0.0.1:{http}"
    try:
        async with asyncio.timeout(90), httpx.AsyncClient() as client:
            while child.returncode is None:
                try:
                    await client.get(url + "/readyz")
                    break
                except httpx.ConnectError:
                    await asyncio.sleep(0.02)
        yield child, url
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


async def test_one_port_is_listened_on_at_two_addresses(tmp_path: Path) -> None:
    CatalogFile(tmp_path / "catalog.json").replace(Catalog({}))
    async with (
        process(tmp_path / "catalog.json", SWITCHYARD_LISTEN="127.0.0.2") as (_, url),
        httpx.AsyncClient() as client,
    ):
        for address in ("127.0.0.1", "127.0.0.2"):
            assert (await client.get(url.replace("127.0.0.1", address) + "/health")).status_code == 200


async def test_sigterm_finishes_what_is_in_flight_and_exits_cleanly(tmp_path: Path) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def hold(call: Call) -> None:
        arrived.set()
        await release.wait()
        await call.answer({"done": True})

    catalog = CatalogFile(tmp_path / "catalog.json")
    async with running(ModelServer(hold)) as model, httpx.AsyncClient(timeout=30) as client:
        catalog.replace(entries(model))
        async with process(tmp_path / "catalog.json", GRACE_SECONDS="20") as (child, url):
            held = asyncio.create_task(client.post(url + "/v1/chat/completions", json={"model": "chat"}))
            await asyncio.wait_for(arrived.wait(), 10)
            child.send_signal(signal.SIGTERM)
            async with asyncio.timeout(10), httpx.AsyncClient() as other:
                while True:
                    try:
                        await other.get(url + "/health")
                    except httpx.TransportError:
                        break
            release.set()
            assert (await held).json() == {"done": True}
            _, stderr = await asyncio.wait_for(child.communicate(), 10)
            assert child.returncode == 0
            assert b"Traceback" not in stderr


async def test_a_gateway_that_leaves_tells_each_client_so_before_it_takes_no_more(tmp_path: Path) -> None:
    path = tmp_path / "catalog.json"
    CatalogFile(path).replace(Catalog({}))
    async with (
        process(path, DRAIN_SECONDS="3") as (child, url),
        httpx.AsyncClient(timeout=30) as kept,
        httpx.AsyncClient(timeout=30) as late,
    ):
        assert "connection" not in (await kept.get(url + "/v1/models")).headers
        assert (await kept.get(url + "/readyz")).status_code == 200
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            while "connection" not in (answer := await kept.get(url + "/v1/models")).headers:
                pass
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        readiness = await late.get(url + "/readyz")
        assert (readiness.status_code, readiness.headers["connection"]) == (503, "close")
        assert await asyncio.wait_for(child.wait(), 15) == 0


async def failed_start(*arguments: str, **env: str) -> tuple[int | None, str]:
    kept = {name: value for name, value in os.environ.items() if name != "SWITCHYARD_CATALOG"}
    child = await asyncio.create_subprocess_exec(
        *COMMAND, *arguments, env={**kept, **env}, stderr=asyncio.subprocess.PIPE
    )
    _, stderr = await asyncio.wait_for(child.communicate(), 30)
    return child.returncode, stderr.decode()


async def test_it_says_why_it_does_not_start() -> None:
    assert await failed_start() == (
        2,
        "gateway: SWITCHYARD_CATALOG is not set: name the catalog file that local mode writes; "
        "in a cluster leave it out\n",
    )
    status, sentence = await failed_start("--host", "0.0.0.0", SWITCHYARD_CATALOG="/x")
    assert status == 2
    assert "does not listen on 0.0.0.0" in sentence
    status, sentence = await failed_start(KUBERNETES_SERVICE_HOST="10.96.0.1", KUBERNETES_SERVICE_PORT="443")
    assert status == 2
    assert "this pod cannot reach the API server" in sentence
    assert "automountServiceAccountToken" in sentence
    status, sentence = await failed_start(SWITCHYARD_CATALOG="/x", LOG_LEVEL="loud")
    assert status == 2
    assert "LOG_LEVEL" in sentence


async def test_a_gateway_without_its_catalog_is_not_ready_until_it_is_there(tmp_path: Path) -> None:
    file = tmp_path / "catalog.json"
    async with process(file) as (_, url), httpx.AsyncClient(base_url=url) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "not ready")
        assert str(file) in ready.json()["reason"]
        assert (await client.get("/v1/models")).json()["error"]["code"] == "catalog_unreadable"
        CatalogFile(file).replace(entries("http://127.0.0.1:1"))
        async with asyncio.timeout(5):
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.01)
        assert len((await client.get("/v1/models")).json()["data"]) == len(entries("").models)


async def test_its_port_says_by_grpcs_health_service_that_it_serves(tmp_path: Path) -> None:
    CatalogFile(tmp_path / "catalog.json").replace(Catalog({}))
    async with (
        process(tmp_path / "catalog.json") as (_, url),
        grpc.aio.insecure_channel(url.removeprefix("http://")) as channel,
    ):
        check = channel.unary_unary(health.CHECK)
        for service in ("", "inference.GRPCInferenceService", "grpc.health.v1.Health"):
            assert await check(write(1, service)) == b"\x08\x01"  # SERVING
        watch = channel.unary_stream(health.WATCH)(b"")
        assert await watch.read() == b"\x08\x01"
        watch.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await check(write(1, "chat"))  # models are no services: ModelReady is for them
        assert unknown.value.code() == grpc.StatusCode.NOT_FOUND


async def test_with_tenants_it_listens_anywhere_and_says_what_is_wrong_with_them(tmp_path: Path) -> None:
    catalog, tenants = tmp_path / "catalog.json", tmp_path / "tenants.yaml"
    CatalogFile(catalog).replace(Catalog({}))
    tenants.write_text("tenants: [{name: acme, quotas: {}}]")
    found = {"SWITCHYARD_CATALOG": str(catalog), "SWITCHYARD_TENANTS": str(tenants)}
    status, sentence = await failed_start("--host", "0.0.0.0", **found)
    assert (status, sentence.splitlines()[-1]) == (
        2,
        "tenants[0] (acme).quotas: no such field; docs/reference/tenants.md lists them",
    )
    assert f"gateway: {tenants} cannot be used:" in sentence

    tenants.write_text("tenants: [{name: acme, limits: [{limit: requests, most: 1, per: day}]}]")
    status, sentence = await failed_start(**found)
    assert (status, "has limits, and there is no store to count in: set SWITCHYARD_STORE" in sentence) == (2, True)
    status, sentence = await failed_start(**found, SWITCHYARD_STORE="mysql://x")
    assert (status, "gateway: SWITCHYARD_STORE: 'mysql://x' is no" in sentence) == (2, True)

    hook = {"BUDGET_WEBHOOK_URL": "https://example.org", "BUDGET_WEBHOOK_SECRET_FILE": str(tmp_path / "none")}
    status, sentence = await failed_start(**found, **hook, SWITCHYARD_STORE=f"sqlite://{tmp_path}/ledger.db")
    assert (status, "gateway: BUDGET_WEBHOOK_SECRET_FILE: " in sentence) == (2, True)

    key = create_key()
    entry = {"id": "ci", "sha256": digest(key.encode()).hex()}
    tenants.write_text(json.dumps({"tenants": [{"name": "acme", "keys": [entry]}]}))
    async with process(catalog, SWITCHYARD_TENANTS=str(tenants), LOG_LEVEL="debug") as (child, url):
        async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {key}"}) as client:
            assert (await client.get("/v1/models")).status_code == 200
            tenants.write_text(json.dumps({"tenants": [{"name": "acme", "keys": [{**entry, "revoked": True}]}]}))
            async with asyncio.timeout(20):
                while (await client.get("/v1/models")).status_code == 200:
                    await asyncio.sleep(0.05)
            child.send_signal(signal.SIGTERM)
        _, stderr = await asyncio.wait_for(child.communicate(), 10)
    assert child.returncode == 0
    assert b'"tenant":"acme","key_id":"ci"' in stderr
    assert key.encode() not in stderr
