"""The line of the log that each response has, by which a request is found again."""

import asyncio
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.exposition import samples
from tests.json_log import json_log
from tests.switchyard.gateway.conftest import Bench, Script, gateway
from tests.switchyard.gateway.test_model_errors import rejecting
from tests.switchyard.gateway.test_outcomes import FAILED_EVENT, FAILED_IN_STREAM, TOKEN, stream

CHAT = "/v1/chat/completions"
SECRET = "my secret"
BODY = {"messages": [{"role": "user", "content": SECRET}]}


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[io.StringIO]:
    """What the gateway's log would hold."""
    with json_log(caplog, "gateway") as text:
        yield text


def responses(log: io.StringIO) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in log.getvalue().splitlines()]
    return [row for row in rows if row["message"] == "responded"]


@pytest.mark.parametrize(
    ("model", "fields", "status", "error"),
    [
        ("chat", {}, 200, None),
        ("chat", {"stream": True}, 200, None),
        ("no-such", {}, 404, "model_not_found"),
        ("broken", {}, 503, "model_failed"),
        ("nobody", {}, 503, "upstream_unreachable"),
    ],
)
async def test_each_response_has_a_line_with_its_id_and_without_what_was_said(
    tmp_path: Path, log: io.StringIO, model: str, fields: dict[str, Any], status: int, error: str | None
) -> None:
    async with gateway(tmp_path, log_requests=True, retry_attempts=1) as bench:
        given = {"x-request-id": "given-id"}
        response = await bench.http.post(CHAT, json={"model": model, **BODY, **fields}, headers=given)
        new = await bench.http.post(CHAT, json={"model": model, **BODY, **fields})
    assert response.status_code == status
    lines = responses(log)
    assert [line["request_id"] for line in lines] == ["given-id", new.headers["x-request-id"]]
    for line in lines:
        assert (line["method"], line["route"], line["status"], line["error"]) == ("POST", CHAT, status, error)
        assert line["model"] == ("unknown" if error in ("model_not_found", "model_failed") else model)
        assert 0 <= line["seconds"] < 60
    assert SECRET not in log.getvalue()


async def test_without_the_setting_no_line_is_written(tmp_path: Path, log: io.StringIO) -> None:
    async with gateway(tmp_path) as bench:
        await bench.http.post(CHAT, json={"model": "chat", **BODY})
    assert responses(log) == []


OF_ACTIVATOR = {"error": {"message": SECRET, "type": "server_error", "param": None, "code": "model_failed"}}
OF_ANTHROPIC = {
    "type": "error",
    "error": {"type": "overloaded_error", "message": SECRET, "details": {"error_code": "model_failed"}},
}
OF_VLLM = {"error": {"message": SECRET, "type": "BadRequestError", "param": None, "code": 400}}


@pytest.mark.parametrize(
    ("path", "model", "script", "streams", "error"),
    [
        (CHAT, "chat", rejecting(503, OF_ACTIVATOR), False, "model_failed"),
        (CHAT, "chat", rejecting(503, OF_ACTIVATOR), True, "model_failed"),
        (CHAT, "sleepy", rejecting(503, OF_ACTIVATOR), True, "model_failed"),
        ("/v1/messages", "chat", rejecting(503, OF_ANTHROPIC), False, "model_failed"),
        (
            "/v2/models/ocr/infer",
            "ocr",
            rejecting(503, {"error": SECRET, "code": "model_failed"}),
            False,
            "model_failed",
        ),
        ("/v2/models/ocr/infer", "ocr", rejecting(500, {"error": SECRET}), False, "model_error"),
        (CHAT, "chat", rejecting(400, OF_VLLM), False, "invalid_value"),
        (CHAT, "chat", stream(TOKEN, FAILED_IN_STREAM), True, "model_error"),
        ("/v1/messages", "chat", stream(TOKEN, FAILED_EVENT), True, "model_error"),
    ],
)
async def test_an_error_from_behind_has_its_code_in_the_line_and_never_its_message(
    tmp_path: Path, log: io.StringIO, path: str, model: str, script: Script, streams: bool, error: str
) -> None:
    async with gateway(tmp_path, script, log_requests=True, retry_attempts=1, heartbeat_seconds=0.02) as bench:
        await bench.http.post(path, json={"model": model, **BODY, "inputs": [], "max_tokens": 5, "stream": streams})
    assert [line["error"] for line in responses(log)] == [error]
    assert SECRET not in log.getvalue()


@pytest.mark.parametrize(("method", "headers", "status"), [("TRACE", 1, 501), ("FOO BAR", 1, 400), ("GET", 300, 431)])
async def test_what_is_no_valid_http_has_a_line_and_is_counted(
    tmp_path: Path, log: io.StringIO, method: str, headers: int, status: int
) -> None:
    async with gateway(tmp_path, log_requests=True) as bench:
        identifier = await invalid(bench, method, headers)
        found = samples((await bench.http.get("/metrics")).text)
    counted = {one.labels["code"]: one.value for one in found if one.name == "gateway_invalid_requests_total"}
    assert {code for code, value in counted.items() if value} == {str(status)}
    (line,) = [row for row in map(json.loads, log.getvalue().splitlines()) if row["message"] == "an invalid request"]
    error = "not_implemented" if status == 501 else "invalid_http"
    assert (line["request_id"], line["status"], line["error"]) == (identifier, status, error)
    assert "secret" not in log.getvalue()


async def invalid(bench: Bench, method: str, headers: int) -> str:
    """Send what is no valid request; return the id that its response has."""
    host, _, port = bench.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        lines = [f"{method} /v1/models?{SECRET.replace(' ', '')} HTTP/1.1", "host: localhost", *["a: b"] * headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        response = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)).decode()
    finally:
        writer.close()
    (found,) = [line for line in response.splitlines() if line.startswith("x-request-id: ")]
    return found.partition(": ")[2]
