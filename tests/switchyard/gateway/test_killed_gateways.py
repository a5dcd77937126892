"""A gateway that is killed in the midst of responses: each client ends with one complete response, charged once."""

import asyncio
import json
from pathlib import Path

import httpx

from switchyard.catalog import CatalogFile
from switchyard.store.factory import open_ledger
from tests.switchyard.gateway.conftest import Call, ModelServer, entries, running, until
from tests.switchyard.gateway.quota.limited import tenants
from tests.switchyard.gateway.recordings.recorded import numbered
from tests.switchyard.gateway.tenants.access import KEYS
from tests.switchyard.gateway.test_process import process

CLIENTS = 12
EVENTS = [b'data: {"n":%d}\n\n' % number for number in range(1, 6)]
END = b"data: [DONE]\n\n"
BODY = {"model": "chat", "messages": [], "stream": True}
COMPLETE = numbered([*EVENTS, END])


class Clients:
    """Clients with keys of their own that send again what has no complete response, as official clients do."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.urls: list[str] = []
        self.began = 0

    async def one(self, key: str) -> bytes:
        headers = {"authorization": f"Bearer {KEYS['acme']}", "idempotency-key": key}
        async with httpx.AsyncClient(timeout=30) as http:
            while True:
                got = b""
                try:
                    async with http.stream("POST", self.urls[-1], json=BODY, headers=headers) as response:
                        self.statuses.append(response.status_code)
                        async for chunk in response.aiter_raw():
                            self.began += not got
                            got += chunk
                except httpx.TransportError:
                    continue
                if response.status_code == 200 and got.endswith(END):
                    return got
                assert response.status_code in (200, 409, 503), got


async def test_each_client_has_one_response_and_one_charge(tmp_path: Path) -> None:
    released = asyncio.Event()

    async def script(call: Call) -> None:
        await call.start(content_type=b"text/event-stream")
        for event in EVENTS[:2]:
            await call.chunk(event)
        await released.wait()
        for event in EVENTS[2:]:
            await call.chunk(event)
        await call.end(END)

    store, clients = f"sqlite://{tmp_path}/store.db", Clients()
    await tenants(tmp_path, {"limit": "requests", "most": 100, "per": "day"})
    catalog, env = tmp_path / "catalog.json", {"SWITCHYARD_STORE": store}
    env["SWITCHYARD_TENANTS"] = str(tmp_path / "tenants.yaml")
    model = ModelServer(script)
    async with running(model) as url:
        CatalogFile(catalog).replace(entries(url))
        async with process(catalog, **env) as (killed, first), process(catalog, **env) as (_, second):
            clients.urls = [first + "/v1/chat/completions"]
            tasks = [asyncio.create_task(clients.one(f"key-{number}")) for number in range(CLIENTS)]
            await until(lambda: clients.began == CLIENTS, 20)
            clients.urls.append(second + "/v1/chat/completions")
            killed.kill()
            released.set()
            async with asyncio.timeout(60):
                bodies = await asyncio.gather(*tasks)
            ledger = open_ledger(store)
            rows = [json.loads(row) for _, row in await ledger.rows("acme", since=0, until=2**40)]
            await ledger.aclose()

    assert set(bodies) == {COMPLETE}
    assert clients.statuses.count(409) == CLIENTS
    assert len(rows) == CLIENTS
    assert {row["outcome"] for row in rows} == {"ok"}
