"""GJSON against the Go library itself, on generated paths and bodies."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings

from switchyard.router import gjson
from tests.live.router import oracle
from tests.live.router.paths import bodies, paths

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def go() -> Iterator[oracle.Oracle]:
    with oracle.start() as started:
        yield started


@settings(max_examples=4 * settings().max_examples, suppress_health_check=[HealthCheck.too_slow])
@given(path=paths(), body=bodies())
@example(path='[@this].#(model=="chat-fast")', body=b'{"model":"chat-fast","model":"code"}')
@example(path='[@this].#(model=="chat-fast")', body=b'{"model":"code","model":"chat-fast"}')
@example(path='[@this].#(model=="chat-fast")', body=b'{"\\u006dodel":"code","model":"chat-fast"}')
@example(path="model", body=b'"{\\"model\\":1}"')
@example(path="a|!true", body=b'{"b":1}')
def test_a_path_finds_what_go_finds(go: oracle.Oracle, path: str, body: bytes) -> None:
    told = go.ask(path.encode(), body)
    assert gjson.is_valid_json(body) == told.valid == told.go_valid
    assert gjson.compile(path).holds(body) == (told.valid and told.exists)
    if told.valid:
        found = gjson.get(body.decode("latin-1"), path.encode().decode("latin-1"))
        assert (found.exists, found.type) == (told.exists, told.type)
        assert found.raw.encode("latin-1") == told.raw
        assert str(found).encode("latin-1") == told.string
