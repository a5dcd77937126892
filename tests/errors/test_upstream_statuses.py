"""Statuses that are none, from a server that misbehaves: none reaches a client of the gateway or of a graph."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.switchyard.gateway.conftest import gateway
from tests.switchyard.router.running import node, router, services

HEADERS = b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
INVALID = {
    **{str(status): b"HTTP/1.1 %d Odd\r\n" % status + HEADERS for status in (20, 99, 600, 999, 2000, 65536, 10**30)},
    **{text: f"HTTP/1.1 {text} Odd\r\n".encode() + HEADERS for text in ("000", "abc", "-200", "2OO", "0x200")},
    "none": b"HTTP/1.1 \r\n" + HEADERS,
    "no status line": b"{}",
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
}
CLOSED = {
    "nothing": b"",
    "an interim response alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "many interim responses": b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 50,
}
BODY = {"model": "chat", "messages": []}


@asynccontextmanager
async def server(response: bytes) -> AsyncIterator[str]:
    """A server that sends the same bytes to everyone, and closes the connection."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(response)
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/v2/models/chat/infer"])
async def test_the_gateway_responds_502_with_a_code_in_place_of_a_status_that_is_none(
    path: str, stream: bool, tmp_path: Path
) -> None:
    async with gateway(tmp_path) as bench:
        for sent, code in [
            *((response, "upstream_invalid") for response in INVALID.values()),
            *((response, "upstream_closed") for response in CLOSED.values()),
        ]:
            async with server(sent) as url:
                bench.put("chat", url=url)
                response = await bench.http.post(path, json={**BODY, "stream": stream})
            assert (response.status_code, code in response.text) == (502, True), (sent[:40], response.text)
            assert "Odd" not in response.text


async def test_a_graph_responds_500_as_kserves_router_does() -> None:
    async with services() as behind:
        for sent in (*INVALID.values(), *CLOSED.values()):
            async with server(sent) as url:
                step = {"name": "odd", "serviceUrl": url}
                async with router(behind, {"root": node("Sequence", step)}) as one, httpx.AsyncClient() as client:
                    response = await client.post(f"http://127.0.0.1:{one.port}/v1/chat/completions", json=BODY)
            error = response.json()["error"]
            assert (response.status_code, error["code"]) == (500, "upstream_unreachable"), (sent[:40], error)
            assert "step odd of node root" in error["message"]
