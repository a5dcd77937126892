"""A request with an idempotency key is made once, however often and wherever its client sends it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.switchyard.gateway.conftest import until
from tests.switchyard.gateway.recordings.recorded import Steps, gateways, numbered, sent

KEY = {"idempotency-key": "one"}
CHAT: dict[str, Any] = {"model": "chat", "messages": []}
PATHS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", CHAT),
    "responses": ("/v1/responses", {"model": "chat", "input": "hi"}),
    "anthropic": ("/v1/messages", {**CHAT, "max_tokens": 1}),
    "v2": ("/v2/models/chat/generate", {"text_input": "hi"}),
}
STREAM_OF_V2 = "/v2/models/chat/generate_stream"
protocols = pytest.mark.parametrize("protocol", PATHS)
streams = pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
where = pytest.mark.parametrize("count", [1, 2], ids=["same-gateway", "other-gateway"])


def request_of(protocol: str, *, stream: bool) -> tuple[str, dict[str, Any]]:
    path, body = PATHS[protocol]
    if stream and protocol == "v2":
        return STREAM_OF_V2, body
    return path, {**body, **({"stream": True} if stream else {})}


@where
@streams
@protocols
async def test_a_response_that_is_complete_is_sent_again_as_it_was(
    tmp_path: Path, protocol: str, stream: bool, count: int
) -> None:
    steps, (path, body) = Steps(), request_of(protocol, stream=stream)
    steps.go(steps.all)
    async with gateways(tmp_path, steps, count) as benches:
        first = await benches[0].http.post(path, json=body, headers=KEY)
        again = await benches[-1].http.post(path, json=body, headers=KEY)

    assert (first.status_code, again.status_code, steps.begun) == (200, 200, 1)
    assert first.content == again.content
    assert first.headers["content-type"] == again.headers["content-type"]
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["age"] == "0"
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    if stream:
        assert first.content == numbered([*steps.events, steps.end])


@where
@streams
@protocols
async def test_one_that_still_runs_is_joined_from_its_beginning(
    tmp_path: Path, protocol: str, stream: bool, count: int
) -> None:
    steps, (path, body) = Steps(), request_of(protocol, stream=stream)
    async with (
        gateways(tmp_path, steps, count) as benches,
        sent(benches[0], path, body, KEY) as first,
    ):
        steps.go()
        await until(lambda: bool(first.body) if stream else steps.begun == 1)
        async with sent(benches[-1], path, body, KEY) as joined:
            if stream:
                await until(lambda: joined.body == first.body)
            steps.go(steps.all)
            await until(lambda: first.done and joined.done)

    assert (first.status, joined.status, steps.begun) == (200, 200, 1)
    assert first.body == joined.body
    assert joined.headers["idempotency-replayed"] == "true"
    if stream:
        assert joined.body == numbered([*steps.events, steps.end])


@where
@pytest.mark.parametrize("running", [False, True], ids=["complete", "running"])
async def test_another_request_with_the_key_is_rejected(tmp_path: Path, running: bool, count: int) -> None:
    steps = Steps()
    if not running:
        steps.go(steps.all)
    async with (
        gateways(tmp_path, steps, count) as benches,
        sent(benches[0], "/v1/chat/completions", CHAT, KEY) as first,
    ):
        await until(lambda: steps.begun == 1 and (running or first.done))
        for path, body in (("/v1/chat/completions", {**CHAT, "seed": 1}), ("/v1/completions", CHAT)):
            other = await benches[-1].http.post(path, json=body, headers=KEY)
            assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_mismatch")
        same = {"messages": [], "model": "chat"}  # in another order
        steps.go(steps.all)
        assert (await benches[-1].http.post("/v1/chat/completions", json=same, headers=KEY)).status_code == 200
        await until(lambda: first.done)

    assert steps.begun == 1


@where
@streams
async def test_a_failed_response_frees_its_key(tmp_path: Path, stream: bool, count: int) -> None:
    steps = Steps(status=500) if not stream else Steps(end=b'data: {"error": {"message": "no"}}\n\n')
    path, body = request_of("openai", stream=stream)
    steps.go(2 * steps.all)
    async with gateways(tmp_path, steps, count) as benches:
        first = await benches[0].http.post(path, json=body, headers=KEY)
        assert first.status_code == (200 if stream else 500)
        async with asyncio.timeout(5):
            while steps.begun < 2:  # the first one is over for its client a moment before it is for the store
                second = await benches[-1].http.post(path, json=body, headers=KEY)

    assert "idempotency-replayed" not in second.headers


@pytest.mark.parametrize("key", ["", "a b", "é", "k" * 256], ids=["empty", "blank", "letter", "long"])
async def test_what_is_no_key_is_rejected(tmp_path: Path, key: str) -> None:
    async with gateways(tmp_path) as (bench,):
        headers = {"idempotency-key": key.encode()}
        response = await bench.http.post("/v1/chat/completions", json=CHAT, headers=headers)  # type: ignore[arg-type]

    assert (response.status_code, response.json()["error"]["param"]) == (400, "Idempotency-Key")


async def test_a_quoted_key_is_the_same(tmp_path: Path) -> None:
    steps = Steps()
    steps.go(steps.all)
    async with gateways(tmp_path, steps) as (bench,):
        for key in ("abc", '"abc"'):
            assert (
                await bench.http.post("/v1/chat/completions", json=CHAT, headers={"idempotency-key": key})
            ).is_success

    assert steps.begun == 1


async def test_without_the_header_nothing_is_kept_and_nothing_changes(tmp_path: Path) -> None:
    steps = Steps()
    steps.go(2 * steps.all)
    async with gateways(tmp_path, steps) as (bench,):
        for _ in range(2):
            response = await bench.http.post("/v1/chat/completions", json={**CHAT, "stream": True})
            assert response.content == b"".join(steps.events) + steps.end
        assert await bench.metric("gateway_recordings_running 0.0")

    assert steps.begun == 2


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_a_client_that_hangs_up_ends_the_work_unless_it_asked_otherwise(tmp_path: Path, stream: bool) -> None:
    path, body = request_of("openai", stream=stream)
    for headers, goes_on in ((KEY, False), ({"idempotency-key": "two", "x-switchyard-continue": "30"}, True)):
        steps, folder = Steps(), tmp_path / headers["idempotency-key"]
        folder.mkdir()
        async with gateways(folder, steps) as (bench,):
            async with sent(bench, path, body, headers) as client:
                await until(lambda: steps.begun == 1)  # noqa: B023
                await client.disconnect()
            if not goes_on:
                await until(lambda: steps.left == 1)  # noqa: B023
            steps.go(steps.all)
            if goes_on:
                again = await bench.http.post(path, json=body, headers=headers)
                assert again.headers["idempotency-replayed"] == "true"
                assert (steps.begun, steps.left) == (1, 0)


async def test_work_that_goes_on_ends_with_its_time(tmp_path: Path) -> None:
    steps = Steps()
    headers = {**KEY, "x-switchyard-continue": "600"}
    async with gateways(tmp_path, steps, continue_seconds=0.05) as (bench,):
        async with sent(bench, "/v1/chat/completions", CHAT, headers) as client:
            await until(lambda: steps.begun == 1)
            await client.disconnect()
        await until(lambda: steps.left == 1)
