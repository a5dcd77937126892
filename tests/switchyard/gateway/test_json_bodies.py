"""Bodies that are JSON in an odd spelling, or nearly JSON: every route that takes JSON says the same of them."""

import json

import pytest

from switchyard.catalog import Kind
from switchyard.gateway.routes.table import ROUTES
from tests.switchyard.gateway.conftest import Bench

TAKING = [route for route in ROUTES if route.body == "json" or (route.form is not None and not route.form.text)]
JSON = "application/json"
TAKEN = {
    "a blank before the charset": {"content-type": "application/json ; charset=utf-8"},
    "capitals": {"content-type": "APPLICATION/JSON;charset=UTF-8"},
    "quotes": {"content-type": 'application/json; charset="utf-8"'},
    "identity": {"content-type": JSON, "content-encoding": "Identity"},
}
REJECTED: dict[str, tuple[dict[str, str], str, str, str]] = {
    "UTF-16": ({"content-type": JSON}, "utf-16", "invalid_json", "the body is UTF-16"),
    "a BOM": ({"content-type": JSON}, "utf-8-sig", "invalid_json", "byte order mark"),
    "Latin-1": ({"content-type": JSON}, "latin-1", "invalid_json", "the body is not UTF-8: its byte "),
    "a charset": (
        {"content-type": JSON + "; charset=latin1"},
        "utf-8",
        "unsupported_media_type",
        "charset of the body",
    ),
    "another type": ({"content-type": "text/json"}, "utf-8", "unsupported_media_type", "content-type is text/json"),
    "no type": ({}, "utf-8", "unsupported_media_type", "content-type is missing"),
    "gzip": ({"content-type": JSON, "content-encoding": "gzip"}, "utf-8", "unsupported_media_type", "content-encoding"),
}


def request(path: str, kinds: frozenset[Kind], *, size: int = 0) -> str:
    """A request that the route takes, with a letter that is not ASCII."""
    model = "chat" if "llm" in kinds else "embed"
    field = "text" if path == "/generate" else "prompt"
    return json.dumps({"model": model, field: "café" + "x" * size}, ensure_ascii=False)


@pytest.mark.parametrize("headers", TAKEN.values(), ids=TAKEN)
async def test_every_spelling_of_plain_json_is_taken_by_every_route(bench: Bench, headers: dict[str, str]) -> None:
    for route in TAKING:
        sent = request(route.path, route.kinds).encode()
        response = await bench.http.post(route.path, content=sent, headers=headers)
        assert response.status_code == 200, (route.path, response.text)
    assert len(bench.model.calls) == len(TAKING)


@pytest.mark.parametrize("size", [0, 100_000], ids=["small", "large"])
@pytest.mark.parametrize(("headers", "charset", "code", "sentence"), REJECTED.values(), ids=REJECTED)
async def test_what_is_no_plain_json_in_utf_8_is_rejected_by_every_route_in_its_protocol(
    bench: Bench, headers: dict[str, str], charset: str, code: str, sentence: str, size: int
) -> None:
    for route in TAKING:
        sent = request(route.path, route.kinds, size=size).encode(charset)
        response = await bench.http.post(route.path, content=sent, headers=headers)
        assert response.status_code == {"invalid_json": 400, "unsupported_media_type": 415}[code], route.path
        error = response.json()["error"]
        found = error["details"]["error_code"] if route.shape == "anthropic" else error["code"]
        assert (found, sentence in error["message"]) == (code, True), error
    assert not bench.model.calls
