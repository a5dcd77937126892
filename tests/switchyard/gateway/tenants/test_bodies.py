"""Bodies that one tenant sends and never ends, while another has work to do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.switchyard.gateway.conftest import gateway
from tests.switchyard.gateway.tenants.access import KEYS, tenants

CHUNK = bytes(100_000)
URL = "/v1/chat/completions"


def headers(tenant: str) -> dict[str, str]:
    return {"authorization": f"Bearer {KEYS[tenant]}", "content-type": "application/json"}


class Unfinished:
    """A request of acme that sends some chunks of its body and then stops."""

    def __init__(self, client: httpx.AsyncClient, chunks: int) -> None:
        self.sent = asyncio.Event()
        self._chunks = chunks
        sends = {**headers("acme"), "content-length": "33000000"}
        self.response = asyncio.ensure_future(client.post(URL, content=self._body(), headers=sends))

    async def _body(self) -> AsyncIterator[bytes]:
        for _ in range(self._chunks):
            yield CHUNK
        self.sent.set()
        await asyncio.Event().wait()

    async def settled(self) -> None:
        """Return when all was sent, or there is a response."""
        sent = asyncio.ensure_future(self.sent.wait())
        await asyncio.wait_for(asyncio.wait([sent, self.response], return_when=asyncio.FIRST_COMPLETED), 30)
        sent.cancel()


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
async def test_three_slow_bodies_of_a_tenant_leave_room_for_those_of_another(tmp_path: Path, http2: bool) -> None:
    async with (
        gateway(tmp_path, tenants=await tenants(tmp_path)) as bench,
        httpx.AsyncClient(base_url=bench.url, http1=not http2, http2=http2, timeout=30) as client,
    ):
        slow = [Unfinished(client, 139) for _ in range(3)]
        try:
            for one in slow:
                await one.settled()
            body = {"model": "chat", "messages": [{"role": "user", "content": "x" * 300_000}]}
            response = await client.post(URL, json=body, headers=headers("globex"))
            assert (response.status_code, len(bench.model.calls)) == (200, 1)

            response = await client.post(URL, json={**body, "pad": "x" * 20_000_000}, headers=headers("acme"))
            assert (response.status_code, response.json()["error"]["code"]) == (429, "too_many_requests")
            assert "the request bodies of acme" in response.json()["error"]["message"]
            assert response.headers["retry-after"] == "1"
        finally:
            for one in slow:
                one.response.cancel()
            await asyncio.gather(*(one.response for one in slow), return_exceptions=True)


async def test_what_a_tenant_holds_it_has_again_when_its_requests_are_over(tmp_path: Path) -> None:
    async with gateway(tmp_path, tenants=await tenants(tmp_path)) as bench:
        body = {"model": "chat", "messages": [{"role": "user", "content": "x" * 15_000_000}]}
        for _ in range(5):
            assert (await bench.http.post(URL, json=body, headers=headers("acme"))).status_code == 200
