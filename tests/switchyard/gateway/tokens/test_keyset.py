"""An issuer's keys are current, its last good ones stay, and nobody makes the gateway ask too often or wait long."""

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import time
from typing import Any

import pytest

from switchyard.gateway.tokens import keyset
from switchyard.gateway.tokens.grant import RejectedTokenError
from switchyard.gateway.tokens.keyset import KeySet
from switchyard.gateway.tokens.signature import read_keys
from switchyard.gateway.tokens.verifier import Tokens
from switchyard.http.api_errors import ApiError
from switchyard.http.asgi import Receive, Scope, Send
from tests.switchyard.gateway.conftest import running, until
from tests.switchyard.gateway.tokens.issuing import Published, issuer, jwk, published, token


@asynccontextmanager
async def key_set(url: str = "", **fields: Any) -> AsyncIterator[tuple[KeySet, list[bool]]]:
    """Keys of an issuer, and how each reading ended."""
    readings: list[bool] = []
    one = KeySet(issuer(url, **fields), readings.append, lambda: None)
    try:
        yield one, readings
    finally:
        one.close()
        await asyncio.wait({one._follower})


async def has(keys: KeySet, kid: str) -> bool:
    try:
        return (await keys.find(kid, "RS256")).kid == kid
    except RejectedTokenError:
        return False


async def test_a_key_that_is_published_since_is_found_by_asking_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_ASK_SECONDS", 0.0)
    async with published() as login, key_set(login.url) as (keys, _):
        assert await has(keys, "one")
        login.keys = [jwk("one"), jwk("two", name="two")]
        assert await has(keys, "two")
        assert login.asked == 2
        assert await has(keys, "one")
        assert login.asked == 2


async def test_a_flood_of_key_ids_makes_one_request_of_the_issuer() -> None:
    async with published() as login, key_set(login.url) as (keys, _):
        assert not await has(keys, "invented")  # the first reading, which this waits for
        found = await asyncio.gather(*(has(keys, f"invented-{number}") for number in range(500)))
        assert not any(found)
        assert login.asked == 1


async def test_a_flood_asks_once_more_when_it_may_and_few_wait_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_ASK_SECONDS", 0.0)
    arrived, release = asyncio.Event(), asyncio.Event()

    class Slow(Published):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if self.asked:
                arrived.set()
                await release.wait()
            await super().__call__(scope, receive, send)

    slow = Slow()
    async with running(slow) as url, key_set(url) as (keys, _):
        assert await has(keys, "one")
        calls = [asyncio.create_task(has(keys, f"invented-{number}")) for number in range(500)]
        await arrived.wait()
        done = [call for call in calls if call.done()]
        assert len(done) == 500 - keyset._MOST_WAITING
        assert await has(keys, "one")  # a key that is known waits for nothing
        release.set()
        assert not any(await asyncio.gather(*calls))
        assert slow.asked == 2


async def test_a_call_waits_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_WAIT_SECONDS", 0.05)

    release = asyncio.Event()

    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await release.wait()

    async with running(silent) as url, key_set(url) as (keys, readings):
        with pytest.raises(ApiError, match="cannot be read"):
            await keys.find("one", "RS256")
        assert readings == []  # the reading itself has not ended
        release.set()
        await until(lambda: readings == [False], 20)


async def test_keys_are_read_again_when_they_are_old_and_those_that_are_gone_verify_no_more() -> None:
    async with published() as login:
        tokens = Tokens(lambda name, valid: None)
        tokens.use([issuer(login.url, refresh_seconds=0.05)])
        sent = token().encode()
        await tokens.verify(sent)
        assert tokens.remembered(sent, time) is not None
        login.keys = [jwk("two", name="two")]
        await until(lambda: tokens.remembered(sent, time) is None, 20)
        with pytest.raises(RejectedTokenError):
            await tokens.verify(sent)
        assert (await tokens.verify(token("two", name="two").encode())).tenant == "acme"
        tokens.use([])


@pytest.mark.parametrize("bad", [None, [], [{"kty": "oct", "k": "AAAA"}]], ids=["an error", "no keys", "no usable key"])
async def test_the_last_good_keys_stay_while_the_issuer_has_none(
    bad: list[dict[str, str]] | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with published() as login, key_set(login.url, refresh_seconds=0.02) as (keys, readings):
        assert await has(keys, "one")
        login.keys = bad
        await until(lambda: not readings[-1], 20)
        assert await has(keys, "one")
        login.keys = [jwk("two", name="two")]
        await until(lambda: readings[-1], 20)
        assert await has(keys, "two")
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert "the last good keys of login stay in force: http://127.0.0.1" in record.getMessage()


async def test_a_problem_in_the_log_is_solved_when_the_same_keys_can_be_read_again_or_nobody_asks_for_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path, away = tmp_path / "jwks.json", tmp_path / "away.json"
    path.write_text(json.dumps({"keys": [jwk("one")]}))

    def last() -> str:
        said = [key for record in caplog.records for key in ("problem", "solved") if hasattr(record, key)]
        return said[-1] if said else ""

    async with key_set(jwks_file=str(path), refresh_seconds=0.02) as (keys, _):
        assert await has(keys, "one")
        path.rename(away)
        await until(lambda: last() == "problem", 20)
        away.rename(path)
        await until(lambda: last() == "solved", 20)
        path.rename(away)
        await until(lambda: last() == "problem", 20)
    assert last() == "solved"


async def test_keys_may_be_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyset, "_ASK_SECONDS", 0.0)
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [jwk("one")]}))
    async with key_set(jwks_file=str(path)) as (keys, readings):
        assert await has(keys, "one")
        path.write_text(json.dumps({"keys": [jwk("two", name="two")]}))
        assert await has(keys, "two")
        path.write_bytes(b" " * (keyset._DOCUMENT_BYTES + 1))
        assert not await has(keys, "three")
        assert readings == [True, True, False]
        assert await has(keys, "two")


async def test_a_redirect_is_not_followed_and_a_document_that_is_too_long_is_not_read() -> None:
    async def elsewhere(scope: Any, receive: Any, send: Any) -> None:
        moved = scope["path"] == "/moved"
        headers = [(b"location", b"/long")] if moved else []
        await send({"type": "http.response.start", "status": 302 if moved else 200, "headers": headers})
        await send({"type": "http.response.body", "body": b" " * (keyset._DOCUMENT_BYTES + 1)})

    async with running(elsewhere) as url:
        for path in ("/moved", "/long"):
            async with key_set(url + path) as (keys, readings):
                with pytest.raises(ApiError):
                    await keys.find("one", "RS256")
                assert readings == [False]


def test_a_jwks_has_as_many_keys_and_bytes_as_the_page_says_and_no_more() -> None:
    page = (Path(__file__).parents[4] / "docs" / "how-to" / "use-jwt.md").read_text()
    bounds = re.search(r"more than (\d+) keys, of whatever kind, or ([\d,]+) bytes", page)
    assert bounds is not None
    most = int(bounds[1])
    assert int(bounds[2].replace(",", "")) == keyset._DOCUMENT_BYTES
    others = [{"kty": "future"}] * (most - 1)
    assert len(read_keys(json.dumps({"keys": [jwk("one"), *others]}).encode())) == 1
    with pytest.raises(ValueError, match=f"at most {most} keys"):
        read_keys(json.dumps({"keys": [jwk("one"), jwk("two"), *others]}).encode())


async def test_an_edit_keeps_the_keys_of_issuers_that_it_does_not_change() -> None:
    seen: list[tuple[str, bool]] = []
    async with published() as login, published() as other:
        tokens = Tokens(lambda name, valid: seen.append((name, valid)))
        kept = issuer(login.url)
        tokens.use([kept, issuer(other.url, name="other", issuer="https://other.example")])
        await tokens.verify(token().encode())
        await until(lambda: len(seen) == 2, 20)
        tokens.use([kept, issuer(other.url, name="third", issuer="https://third.example")])
        await tokens.verify(token().encode())
        await until(lambda: ("third", True) in seen, 20)
        assert (login.asked, other.asked) == (1, 2)
        tokens.use([])
        assert not tokens.is_token(b"a.b.c")
