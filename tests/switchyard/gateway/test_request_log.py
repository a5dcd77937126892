"""The line of the log that each response has, by which a request is found again."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.json_log import json_log
from tests.switchyard.gateway.conftest import gateway

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
