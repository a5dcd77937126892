"""What browsers and probes ask beside GET and POST: HEAD, OPTIONS, and responses that other origins may read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from switchyard.gateway.settings import Settings
from switchyard.settings import SettingsError
from tests.switchyard.gateway.conftest import Bench, gateway

PAGE = "https://console.example"
PREFLIGHT = {
    "origin": PAGE,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type",
}


@pytest.mark.parametrize("path", ["/health", "/readyz", "/metrics", "/v1/models", "/v2/health/live", "/docs"])
async def test_head_is_get_without_the_body(bench: Bench, path: str) -> None:
    whole, head = await bench.http.get(path), await bench.http.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"]
    if path != "/metrics":  # which counts itself
        assert head.headers["content-length"] == whole.headers["content-length"]


async def test_options_names_the_methods_of_a_path(bench: Bench) -> None:
    response = await bench.http.options("/v1/chat/completions")
    assert (response.status_code, response.headers["allow"], response.content) == (204, "OPTIONS, POST", b"")
    assert (await bench.http.options("/v1/models")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await bench.http.options("/nowhere")).status_code == 404


async def test_no_page_of_another_origin_may_read_anything_by_default(bench: Bench) -> None:
    response = await bench.http.get("/v1/models", headers={"origin": PAGE})
    assert not {name for name in response.headers if name.startswith("access-control-")}
    preflight = await bench.http.options("/v1/chat/completions", headers=PREFLIGHT)
    assert not {name for name in preflight.headers if name.startswith("access-control-")}


@pytest.mark.parametrize(
    ("allowed", "origin", "said"),
    [
        ((PAGE,), PAGE, PAGE),
        ((PAGE,), "https://evil.example", None),
        ((PAGE,), PAGE + ".evil.example", None),
        (("*",), "https://any.example", "*"),
    ],
)
async def test_pages_of_named_origins_may_read_responses_and_errors(
    tmp_path: Path, allowed: tuple[str, ...], origin: str, said: str | None
) -> None:
    async with gateway(tmp_path, cors_allow_origins=allowed) as bench:
        for path in ("/v1/models", "/v1/models/nope", "/nowhere", "/health"):
            headers = (await bench.http.get(path, headers={"origin": origin})).headers
            assert headers.get("access-control-allow-origin") == said, path
            assert "access-control-allow-credentials" not in headers
            assert ("x-request-id" in headers.get("access-control-expose-headers", "")) == (said is not None)
        preflight = await bench.http.options("/v1/chat/completions", headers={**PREFLIGHT, "origin": origin})
        assert preflight.status_code == 204
        assert preflight.headers.get("access-control-allow-headers") == (
            PREFLIGHT["access-control-request-headers"] if said else None
        )
        assert ("POST" in preflight.headers.get("access-control-allow-methods", "")) == (said is not None)


async def test_a_cache_between_keeps_the_responses_of_two_origins_apart(tmp_path: Path) -> None:
    async with gateway(tmp_path, cors_allow_origins=(PAGE,)) as bench:
        for origin in (PAGE, "https://other.example"):
            assert (await bench.http.get("/v1/models", headers={"origin": origin})).headers["vary"] == "origin"


@pytest.mark.parametrize(
    ("path", "content_type", "code"),
    [
        ("/v1/chat/completions", "text/plain", lambda error: error["error"]["code"]),
        ("/v1/messages", "text/plain", lambda error: error["error"]["details"]["error_code"]),
        ("/v2/models/ocr/infer", "text/plain", lambda error: error["code"]),
        ("/v1/ocr", "multipart/form-data; boundary=a", lambda error: error["error"]["code"]),
    ],
)
async def test_a_page_of_another_site_reaches_no_model_by_what_needs_no_preflight(
    bench: Bench, path: str, content_type: str, code: Callable[[Any], str]
) -> None:
    headers = {"origin": "https://evil.example", "content-type": content_type}
    response = await bench.http.post(path, content=b'{"model": "chat", "messages": []}', headers=headers)
    assert (response.status_code, code(response.json())) == (403, "page_not_allowed")
    rebound = {"host": "evil.example", "content-type": "application/json"}
    response = await bench.http.post(path, content=b'{"model": "chat", "messages": []}', headers=rebound)
    assert (response.status_code, code(response.json())) == (421, "name_not_served")
    assert not bench.model.calls


async def test_text_of_a_page_gets_its_error_as_text(bench: Bench) -> None:
    response = await bench.http.post("/v1/chat/chat", content=b"Hello", headers={"origin": "https://evil.example"})
    assert (response.status_code, response.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert "CORS_ALLOW_ORIGINS" in response.text
    assert not bench.model.calls


async def test_origin_and_fetch_metadata_headers_are_not_forwarded(tmp_path: Path) -> None:
    async with gateway(tmp_path, cors_allow_origins=(PAGE,), allowed_hosts=("models.example",)) as bench:
        headers = {"host": "models.example", "origin": PAGE, "sec-fetch-site": "cross-site"}
        payload = {"model": "chat", "messages": []}
        response = await bench.http.post("/v1/chat/completions", json=payload, headers=headers)
        assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, PAGE)
        assert not {b"origin", b"sec-fetch-site"} & bench.model.calls[0].headers.keys()


def test_a_host_that_is_none_is_rejected_by_its_name() -> None:
    hosts = Settings.from_env({"ALLOWED_HOSTS": "models.example, *.internal"}).allowed_hosts
    assert hosts == ("models.example", "*.internal")
    for wrong in ("models.example:80", "https://models.example", "*", "a*.example"):
        with pytest.raises(SettingsError, match="ALLOWED_HOSTS names"):
            Settings.from_env({"ALLOWED_HOSTS": wrong})


def test_an_origin_that_is_none_is_rejected_by_its_name() -> None:
    assert Settings.from_env({"CORS_ALLOW_ORIGINS": "https://a.example, *"}).cors_allow_origins == (
        "https://a.example",
        "*",
    )
    with pytest.raises(SettingsError, match=r"CORS_ALLOW_ORIGINS names 'a\.example/x'"):
        Settings.from_env({"CORS_ALLOW_ORIGINS": "a.example/x"})
