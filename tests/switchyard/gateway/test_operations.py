"""The pages for operators and readers, as the gateway sends them."""

import json
import subprocess
import sys

import pytest

from switchyard.gateway.routes.table import ROUTES
from tests.switchyard.gateway.conftest import Bench


async def test_the_document_and_its_page_are_whole_and_need_no_network(bench: Bench) -> None:
    document = await bench.http.get("/openapi.json")
    page = await bench.http.get("/docs")

    assert document.headers["content-type"] == "application/json"
    assert len(document.json()["paths"]) == len({route.path for route in ROUTES})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "/v1/chat/completions" in page.text


@pytest.mark.parametrize(("path", "fields"), [("/health", {"status"}), ("/readyz", {"status", "models"})])
async def test_health_pages_are_small_json(bench: Bench, path: str, fields: set[str]) -> None:
    response = await bench.http.get(path)

    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert set(json.loads(response.content)) == fields


async def test_metrics_are_prometheus_text(bench: Bench) -> None:
    response = await bench.http.get("/metrics")

    assert response.headers["content-type"].startswith("text/plain; version=")
    assert "gateway_requests_in_flight 0.0" in response.text


def test_the_gateway_starts_without_a_web_framework() -> None:
    code = (
        "import sys, switchyard.gateway.app; print([name for name in sys.modules if name in ('fastapi', 'starlette')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
