"""The examples of the OpenAPI document, asked of the running platform: it responds as the document says."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http_api.running import ask_anything
from tests.live.platform import Platform, http_client
from tests.switchyard.gateway.openapi.documents import events, operations, problems

pytestmark = pytest.mark.live

EVENTS = "text/event-stream"
# Models that readers bring themselves; what a gateway without tenants does not count; files and batches, whose ids are
# those of no other store, as those of responses that were recorded; WebSockets; what loads and unloads models would
# change what other tests find.
LEFT_OUT = (
    *("my-classifier", "my-text-model", "/load", "/unload", "/organization/", "/v1/files", "/v1/batches"),
    *("/v1/responses/", "/v1/stream"),
)


def filled(path: str, operation: dict[str, Any]) -> str:
    """A path with the example's values in place of its variables."""
    for parameter in operation.get("parameters", ()):
        path = path.replace(f"{{{parameter['name']}}}", parameter.get("example", ""))
    return path


def forms(operation: dict[str, Any]) -> list[bool]:
    """Whether an operation can be asked for a whole response (False), for a stream (True), or for either."""
    content = operation["responses"]["200"].get("content", {})
    return [False] * (set(content) != {EVENTS}) + [True] * (EVENTS in content)


ASKED = [
    pytest.param(method, filled(path, operation), operation, stream, id=f"{method} {path}{' streamed' * stream}")
    for method, path, operation in operations()
    for stream in forms(operation)
    if not any(part in filled(path, operation) for part in LEFT_OUT)
]


def ask(client: httpx.Client, method: str, path: str, operation: dict[str, Any], stream: bool) -> httpx.Response:
    bodies = operation.get("requestBody", {}).get("content", {})
    example = next((one["example"] for one in bodies.values() if "example" in one), None)
    if isinstance(example, dict):
        return client.request(method, path, json={**example, "stream": True} if stream else example)
    return client.request(method, path, content=example)


@pytest.mark.parametrize(("method", "path", "operation", "stream"), ASKED)
def test_an_example_gets_the_response_that_the_document_says(
    platform: Platform, method: str, path: str, operation: dict[str, Any], stream: bool
) -> None:
    with http_client(platform) as client:
        response = ask(client, method, path, operation, stream)
    assert response.status_code == 200, response.text
    kind = response.headers["content-type"].partition(";")[0]
    assert (kind == EVENTS) == stream
    media = operation["responses"]["200"]["content"][kind]
    if stream:
        found = [problems({"$ref": media["x-event-schema"]}, one) for one in events(response.text)]
        assert found
        assert not any(found), found
    else:
        assert problems(media["schema"], response.json() if kind == "application/json" else response.text) == []


# Engines read bodies by rules of their own, which their schemas do not all say.
OF_ANY = (
    *("--phases", "examples,fuzzing", "--max-examples", "4", "--generation-deterministic"),
    *("--exclude-checks", "ignored_auth,positive_data_acceptance,negative_data_rejection"),
    *("--exclude-tag", "Operations", "--exclude-path-regex", "/(load|unload)$|/organization/"),
)


def test_any_request_gets_a_response_that_the_document_says(platform: Platform, tmp_path: Path) -> None:
    report = asyncio.run(ask_anything(platform.url, *OF_ANY, folder=tmp_path))
    assert report.passed, report.text
    assert report.requests > 100
    assert "Traceback" not in platform.logs()
