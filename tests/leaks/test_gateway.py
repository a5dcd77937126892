"""A gateway that has seen keys of every kind, and then crashes, has written none of them anywhere."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc.aio
import httpx
import redis.asyncio
import yaml
from tritonclient.grpc import service_pb2, service_pb2_grpc

from switchyard.catalog import CatalogFile
from tests.leaks.finding import keys_in, leaks
from tests.live.collector import PARENT, Collector, collecting
from tests.ports import free_port
from tests.switchyard.gateway.conftest import Call, ModelServer, completion, entries, running
from tests.switchyard.gateway.tenants.access import KEYS, MALFORMED, document
from tests.switchyard.store.conftest import RedisServer

ROUTE = "/v1/organization/admin_api_keys"
CHAT: dict[str, Any] = {"model": "chat", "messages": [{"role": "user", "content": "x"}]}
HEADERS = ("authorization", "x-api-key", "api-key")
SECONDS = 60.0


@dataclass
class World:
    """A gateway process that says all it can, what is around it, and the responses that it sent."""

    url: str
    process: asyncio.subprocess.Process
    log: Path
    model: ModelServer
    collector: Collector
    client: httpx.AsyncClient
    responses: list[str] = field(default_factory=list)

    async def ask(self, method: str, path: str, key: str, **fields: Any) -> Any:
        """Send a key in one of the headers that are for it; return the JSON of the response."""
        header = HEADERS[len(self.responses) % len(HEADERS)]
        sent = {header: f"Bearer {key}" if header == "authorization" else key, "traceparent": PARENT}
        response = await self.client.request(method, path, headers=sent, **fields)
        self.responses.append(f"{response.status_code} {response.headers} {response.text}")
        return response.json() if "json" in response.headers["content-type"] else response.text

    async def until(self, what: str) -> None:
        """Wait for a text in the log."""
        async with asyncio.timeout(SECONDS):
            while what not in self.log.read_text():
                await asyncio.sleep(0.05)


async def respond(call: Call) -> None:
    """Respond as a chat model, or with nothing."""
    await (completion(call) if call.scope["path"].startswith("/openai") else call.answer({}))


@asynccontextmanager
async def world(folder: Path, store: str) -> AsyncIterator[World]:
    port, model, log = free_port(), ModelServer(respond), folder / "gateway.log"
    (folder / "tenants.yaml").write_text(yaml.safe_dump(document()))
    with collecting() as collector, log.open("wb") as file:
        settings = {
            "SWITCHYARD_CATALOG": str(folder / "catalog.json"),
            "SWITCHYARD_TENANTS": str(folder / "tenants.yaml"),
            "SWITCHYARD_STORE": store,
            "LOG_LEVEL": "debug",
            "LOG_REQUESTS": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "PYTHONFAULTHANDLER": "1",
        }
        command = [sys.executable, "-m", "switchyard.gateway", f"--http_port={port}", "--grpc_port=0"]
        async with running(model) as model_url, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            CatalogFile(folder / "catalog.json").replace(entries(model_url))
            env = {**os.environ, **settings}
            process = await asyncio.create_subprocess_exec(*command, env=env, cwd=folder, stderr=file)
            made = World(str(client.base_url), process, log, model, collector, client)
            try:
                await made.until('"serving"')
                yield made
            finally:
                if process.returncode is None:
                    process.kill()
                await process.wait()


async def everything(world: World) -> None:
    """Ask with keys that are valid, and with some that are not, and make some on the way."""
    for name in ("acme", "globex", "team", "scraper", "expired", "revoked", "unknown"):
        await world.ask("POST", "/v1/chat/completions", KEYS[name], json=CHAT)
        await world.ask("POST", "/v1/messages", KEYS[name], json={**CHAT, "model": "nobody", "max_tokens": 1})
        await world.ask("GET", "/v1/models", KEYS[name])
    await world.ask("POST", "/v1/chat/completions", KEYS["acme"], content=b"{")
    await world.ask("GET", "/v1/models", MALFORMED)
    admin = KEYS["admin"]
    made = await world.ask("POST", ROUTE, admin, json={"name": "CI", "id": "ci", "tenant": "globex"})
    await world.ask("POST", "/v1/chat/completions", made["value"], json={**CHAT, "stream": True})
    rotated = await world.ask("POST", f"{ROUTE}/ci/rotate", admin, json={})
    secrets = [made["value"], rotated["value"]]
    world.responses = [text for text in world.responses if not any(secret in text for secret in secrets)]
    await world.ask("DELETE", f"{ROUTE}/ci", admin)
    await world.ask("GET", "/v1/models", rotated["value"])
    await world.ask("POST", ROUTE, admin, json={"name": "CI", "id": "ci"})
    for path in (ROUTE, "/v1/organization/audit_logs", "/v1/organization/costs?start_time=0", "/v2/models", "/metrics"):
        await world.ask("GET", path, admin)
    await over_grpc(world, KEYS["acme"], KEYS["unknown"], MALFORMED)


async def over_grpc(world: World, *keys: str) -> None:
    async with grpc.aio.insecure_channel(world.url.removeprefix("http://").rstrip("/")) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for key in keys:
            for header in HEADERS:
                metadata = ((header, f"Bearer {key}" if header == "authorization" else key),)
                try:
                    await stub.ModelInfer(service_pb2.ModelInferRequest(model_name="sleepy"), metadata=metadata)
                except grpc.aio.AioRpcError as err:
                    world.responses.append(f"{err.code()} {err.details()} {err.trailing_metadata()}")


async def crash(world: World) -> None:
    """End the gateway by a fault, of which Python writes where each thread was."""
    world.process.send_signal(signal.SIGABRT)
    await world.until("Fatal Python error: Aborted")
    await asyncio.wait_for(world.process.wait(), SECONDS)


async def check(folder: Path, store: str) -> None:
    """Look at all that a gateway on ``store`` writes."""
    async with world(folder, store) as one:
        await everything(one)
        async with asyncio.timeout(SECONDS):
            while len(one.collector.spans) < 20:
                await asyncio.sleep(0.05)
        await crash(one)
        traces = "\n".join(map(str, one.collector.spans))
        upstream = "\n".join(str(call.scope["headers"]) for call in one.model.calls)

    for what in ("acme-key", "globex-key", "api_key.updated", "revoked"):
        assert what in one.log.read_text() + "".join(one.responses)  # what is looked at is what it wrote
    assert "gateway_requests_total" in "".join(one.responses)
    assert "switchyard.tenant" in traces
    assert "x-switchyard-tenant" in upstream
    assert {text[:3] for text in one.responses} >= {"200", "401", "403", "404", "409"}
    for seen in (traces, upstream, *one.responses):
        assert keys_in(seen.encode()) == set()
        assert MALFORMED not in seen
    assert leaks(folder) == []
    assert MALFORMED not in one.log.read_text()


async def test_no_key_is_in_log_traces_metrics_responses_or_sqlite(tmp_path: Path) -> None:
    await check(tmp_path, f"sqlite://{tmp_path}/store.db")
    assert b"globex" in (tmp_path / "store.db-wal").read_bytes() + (tmp_path / "store.db").read_bytes()


async def test_no_key_is_in_redis(tmp_path: Path) -> None:
    (tmp_path / "redis").mkdir()
    server = RedisServer(tmp_path / "redis")
    try:
        await server.wait_ready()
        await check(tmp_path, server.url)
        async with redis.asyncio.from_url(server.url) as client:
            await client.config_set("rdbcompression", "no")  # which would hide a key
            await client.save()
        assert b"globex" in (tmp_path / "redis/dump.rdb").read_bytes()
        assert leaks(tmp_path) == []
    finally:
        server.stop()
