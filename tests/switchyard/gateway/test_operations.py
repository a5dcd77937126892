"""The pages for operators and readers, as the gateway sends them."""

import json
import subprocess
import sys

import pytest

from switchyard.gateway.operations import docs, with_host
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


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("localhost:9000", "http://localhost:9000/v1/"),
        ("[::1]:9000", "http://[::1]:9000/v1/"),
        ("localhost:8000", "http://localhost:8000/v1/"),
    ],
)
async def test_the_pages_commands_go_where_the_page_was_opened(bench: Bench, host: str, shown: str) -> None:
    page = await bench.http.get("/docs", headers={"host": host})

    assert f"<pre>curl -s {shown}" in page.text
    assert page.text.count("curl -s http://") == page.text.count(f"curl -s {shown.removesuffix('/v1/')}/")


@pytest.mark.parametrize("host", [b"", b"x$(id)", b'x"><script>', b"a b", b"x" * 300])
def test_a_host_that_means_something_in_html_or_to_a_shell_is_not_shown(host: bytes) -> None:
    assert with_host(docs(), host) is docs()


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
