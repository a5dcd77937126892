"""The ids and the line of each request in the logs of what lies behind the gateway."""

import asyncio
import contextvars
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc.aio
import httpx
import pytest

from switchyard.http import request_log
from switchyard.http.api_errors import ApiError
from switchyard.http.h2.grpc_call import GrpcCall
from switchyard.http.request_log import CallLine, logged, logged_calls
from switchyard.http.server import Exchange, Server
from switchyard.rpc.status import RpcStatus
from switchyard.telemetry import logs
from tests.json_log import json_log

IDS = {"x-request-id": "r1", "x-switchyard-tenant": "acme", "x-switchyard-key-id": "acme-key"}
ASKED = {**IDS, "x-switchyard-log": "1"}
SECRET = "secret-of-a-client"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What the process's log would hold."""
    with json_log(caplog, "chat") as text:
        yield text


def lines(log: io.StringIO) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in log.getvalue().splitlines()]
    return [row for row in rows if row["message"] == "responded"]


async def handle(exchange: Exchange) -> None:
    """Respond as the path says."""
    if exchange.path == b"/waits":
        await asyncio.Event().wait()
    if exchange.path == b"/breaks":
        raise ValueError(SECRET)
    if exchange.path == b"/streams":
        exchange.start(200, [])
        exchange.write(b"one")
        exchange.end()
    else:
        exchange.respond(404 if exchange.path == b"/nowhere" else 200, [], b"")


async def call(one: GrpcCall) -> None:
    if one.path == "/s/Breaks":
        raise ApiError("overloaded", SECRET)
    one.respond(b"")


def about(_: Exchange | GrpcCall) -> dict[str, str]:
    return {"model": "chat"}


@pytest.fixture
async def server() -> AsyncIterator[str]:
    made = Server(logged(handle, about), rpc=logged_calls(call, about))
    port = await made.listen("127.0.0.1", 0)
    yield f"127.0.0.1:{port}"
    await made.aclose()


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/", 200, None), ("/streams", 200, None), ("/nowhere", 404, None), ("/breaks", 0, "ValueError")],
)
async def test_a_request_has_a_line_with_its_ids(
    server: str, log: io.StringIO, path: str, status: int, error: str | None
) -> None:
    async with httpx.AsyncClient(base_url=f"http://{server}") as http:
        response = await http.post(f"{path}?q={SECRET}", headers=ASKED, content=SECRET)
    assert response.status_code == (status or 500)
    (line,) = lines(log)
    assert (line["status"], line["error"], line["model"]) == (status, error, "chat")
    assert (line["request_id"], line["tenant"], line["key_id"]) == ("r1", "acme", "acme-key")
    assert 0 <= line["seconds"] < 60
    assert SECRET not in log.getvalue()


async def test_a_request_whose_client_disconnects_has_a_line(server: str, log: io.StringIO) -> None:
    async with httpx.AsyncClient(base_url=f"http://{server}") as http:
        with pytest.raises(httpx.ReadTimeout):
            await http.post("/waits", headers=ASKED, timeout=0.1)
    async with asyncio.timeout(5):
        while not lines(log):
            await asyncio.sleep(0.001)
    assert lines(log)[0]["error"] == "cancelled"


@pytest.mark.parametrize(("method", "status", "error"), [("Works", "OK", None), ("Breaks", None, "overloaded")])
async def test_a_call_has_a_line(
    server: str, log: io.StringIO, method: str, status: str | None, error: str | None
) -> None:
    async with grpc.aio.insecure_channel(server) as channel:
        outcome = channel.unary_unary(f"/s/{method}")(b"", metadata=tuple(ASKED.items()))
        assert await outcome.code() == (grpc.StatusCode.UNAVAILABLE if error else grpc.StatusCode.OK)
    (line,) = lines(log)
    assert (line["status"], line["error"], line["request_id"], line["tenant"]) == (status, error, "r1", "acme")


async def test_without_the_gateways_wish_there_is_no_line(server: str, log: io.StringIO) -> None:
    async with httpx.AsyncClient(base_url=f"http://{server}") as http:
        await http.get("/", headers=IDS)
    async with grpc.aio.insecure_channel(server) as channel:
        await channel.unary_unary("/s/Works")(b"", metadata=tuple(IDS.items()))
    assert lines(log) == []


def test_a_call_without_a_task_has_a_line_and_its_ids_on_others(log: io.StringIO) -> None:
    fields = {name.encode(): value.encode() for name, value in ASKED.items()}
    one, other = CallLine(fields), CallLine({b"x-request-id": b"r2"})
    other.run(logging.getLogger("switchyard.a").warning, "the model failed")
    one.end(RpcStatus.OK)
    other.end(RpcStatus.OK)
    failed, line = [json.loads(row) for row in log.getvalue().splitlines()]
    assert (failed["request_id"], failed["message"]) == ("r2", "the model failed")
    assert (line["request_id"], line["tenant"], line["status"]) == ("r1", "acme", "OK")


def ids(fields: dict[bytes, bytes]) -> tuple[bool, str, str, str, str]:
    """Whether a line is wanted, and what lines of a request with these headers carry."""

    def begin() -> tuple[bool, str, str, str, str]:
        wanted = request_log.begin(fields)
        return wanted, logs.request_id.get(), logs.trace_id.get(), logs.tenant.get(), logs.key_id.get()

    return contextvars.copy_context().run(begin)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (False, "", "", "", "")),
        (
            {
                b"x-request-id": b"r1",
                b"traceparent": f"00-{TRACE}-b7ad6b7169203331-00".encode(),
                b"x-switchyard-tenant": b"acme",
                b"x-switchyard-key-id": b"acme-key",
                b"x-switchyard-log": b"1",
            },
            (True, "r1", TRACE, "acme", "acme-key"),
        ),
        ({b"x-request-id": b"\xff" + b"a" * 1000}, (False, "\ufffd" + "a" * 127, "", "", "")),
    ],
)
def test_lines_carry_what_the_gateway_says(
    fields: dict[bytes, bytes], expected: tuple[bool, str, str, str, str]
) -> None:
    assert ids(fields) == expected


def test_metadata_of_grpcs_library_is_read_alike() -> None:
    fields = request_log.of_metadata((("x-request-id", "r1"), ("x-bin", b"\0")))
    assert fields == {b"x-request-id": b"r1", b"x-bin": b"\0"}
    assert request_log.of_metadata(None) == {}
