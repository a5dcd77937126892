"""A stream that broke is continued from the last event that its client had, at any gateway."""

from pathlib import Path
from typing import Any

import pytest

from tests.switchyard.gateway.conftest import until
from tests.switchyard.gateway.quota.limited import tenants
from tests.switchyard.gateway.recordings.recorded import Steps, gateways, numbered, sent
from tests.switchyard.gateway.tenants import access
from tests.switchyard.gateway.tenants.access import KEYS

RESUME = {"x-switchyard-resume": "true", "x-request-id": "mine"}
STREAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "chat", "messages": [], "stream": True}),
    "anthropic": ("/v1/messages", {"model": "chat", "messages": [], "max_tokens": 1, "stream": True}),
    "v2": ("/v2/models/chat/generate_stream", {"text_input": "hi"}),
}
protocols = pytest.mark.parametrize("protocol", STREAMS)
where = pytest.mark.parametrize("count", [1, 2], ids=["same-gateway", "other-gateway"])
PATH, BODY = STREAMS["openai"]


@where
@protocols
async def test_a_stream_that_runs_goes_on_after_each_event(tmp_path: Path, protocol: str, count: int) -> None:
    steps, (path, body) = Steps(), STREAMS[protocol]
    whole = [*steps.events, steps.end]
    async with gateways(tmp_path, steps, count) as benches, sent(benches[0], path, body, RESUME) as first:
        steps.go(2)
        await until(lambda: first.body == numbered(whole[:2]))
        await first.disconnect()
        async with (
            sent(benches[-1], "/v1/streams/mine", None, {"last-event-id": "1"}) as second,
            sent(benches[-1], "/v1/streams/mine?after=3", None, {"last-event-id": "1"}) as third,
        ):
            await until(lambda: second.body == numbered(whole[:2], 1))
            steps.go(steps.all)
            await until(lambda: second.done and third.done)

    assert (second.status, second.headers["content-type"]) == (200, "text/event-stream")
    assert second.body == numbered(whole, 1)
    assert third.body == numbered(whole, 3)
    assert (steps.begun, steps.left) == (1, 0)


@where
@protocols
@pytest.mark.parametrize("after", [0, 2, 4, 9])
async def test_a_complete_stream_is_continued_too(tmp_path: Path, protocol: str, after: int, count: int) -> None:
    steps, (path, body) = Steps(), STREAMS[protocol]
    steps.go(steps.all)
    async with gateways(tmp_path, steps, count) as benches:
        first = await benches[0].http.post(path, json=body, headers=RESUME)
        await until(lambda: not benches[0].served.recording)
        again = await benches[-1].http.get(f"/v1/streams/mine?after={after}")

    assert first.content == numbered([*steps.events, steps.end])
    assert (again.status_code, again.content) == (200, numbered([*steps.events, steps.end], after))


@where
async def test_a_request_with_a_key_is_continued_by_the_request_itself(tmp_path: Path, count: int) -> None:
    steps, keyed = Steps(), {"idempotency-key": "one", "x-switchyard-continue": "30"}
    async with gateways(tmp_path, steps, count) as benches, sent(benches[0], PATH, BODY, keyed) as first:
        steps.go(2)
        await until(lambda: first.body == numbered(steps.events[:2]))
        await first.disconnect()
        async with sent(benches[-1], PATH, BODY, {**keyed, "last-event-id": "2"}) as second:
            steps.go(steps.all)
            await until(lambda: second.done)

    assert second.body == numbered([*steps.events, steps.end], 2)
    assert steps.begun == 1


async def test_the_newest_stream_has_the_id_of_its_request(tmp_path: Path) -> None:
    steps = Steps()
    steps.go(2 * steps.all)
    async with gateways(tmp_path, steps) as (bench,):
        await bench.http.post(PATH, json=BODY, headers=RESUME)
        steps.events = [b'data: {"new":1}\n\n']
        newest = await bench.http.post(PATH, json=BODY, headers=RESUME)
        again = await bench.http.get("/v1/streams/mine")

    assert again.content == newest.content
    assert steps.begun == 2


async def test_of_a_text_the_number_is_one_of_bytes(tmp_path: Path) -> None:
    steps = Steps()
    steps.go(steps.all)
    async with gateways(tmp_path, steps) as (bench,):
        body = {**BODY, "stream": False}
        whole = await bench.http.post(PATH, json=body, headers=RESUME)
        assert (await bench.http.get("/v1/streams/mine?after=5")).content == whole.content[5:]


async def test_comments_have_no_number(tmp_path: Path) -> None:
    steps = Steps(events=[b": one\n\n", b'data: {"n":1}\n\n', b': two\n\ndata: {"n":2}\n\n'])
    steps.go(steps.all)
    async with gateways(tmp_path, steps) as (bench,):
        first = await bench.http.post(PATH, json=BODY, headers=RESUME)
        again = await bench.http.get("/v1/streams/mine")

    assert first.content == b': one\n\nid: 1\ndata: {"n":1}\n\n: two\n\nid: 2\ndata: {"n":2}\n\nid: 3\n' + steps.end
    assert again.content == b'id: 1\ndata: {"n":1}\n\nid: 2\ndata: {"n":2}\n\nid: 3\n' + steps.end


async def test_a_client_that_reads_slowly_holds_up_nobody(tmp_path: Path) -> None:
    steps = Steps(events=[b'data: {"long": "%s"}\n\n' % (b"x" * 200_000)] * 15)
    async with gateways(tmp_path, steps) as (bench,), sent(bench, PATH, BODY, RESUME) as quick:
        steps.go()
        await until(lambda: bool(quick.body))
        async with bench.http.stream("GET", "/v1/streams/mine") as slow:
            steps.go(steps.all)
            await until(lambda: quick.done)
            behind = b"".join([chunk async for chunk in slow.aiter_raw()])

    assert quick.body == behind == numbered([*steps.events, steps.end])


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [("", {}, 404), ("?after=x", {}, 400), ("?since=1", {}, 400), ("", {"last-event-id": "x"}, 400)],
)
async def test_what_cannot_be_continued_is_said(
    tmp_path: Path, query: str, headers: dict[str, str], status: int
) -> None:
    async with gateways(tmp_path) as (bench,):
        assert (await bench.http.get(f"/v1/streams/mine{query}", headers=headers)).status_code == status


@pytest.mark.parametrize("header", ["x-switchyard-resume", "x-switchyard-continue"])
async def test_a_header_that_says_nothing_is_rejected(tmp_path: Path, header: str) -> None:
    async with gateways(tmp_path) as (bench,):
        response = await bench.http.post(PATH, json=BODY, headers={**RESUME, header: "perhaps"})

    assert (response.status_code, response.json()["error"]["param"]) == (400, header)


async def test_a_key_sees_no_stream_of_a_model_that_it_may_not_use(tmp_path: Path) -> None:
    steps = Steps()
    steps.go(steps.all)
    async with gateways(tmp_path, steps, tenants=await access.tenants(tmp_path)) as (bench,):
        await bench.http.post(PATH, json=BODY, headers=RESUME | {"authorization": f"Bearer {KEYS['acme']}"})
        other = await bench.http.get("/v1/streams/mine", headers={"authorization": f"Bearer {KEYS['team']}"})

    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")


async def test_without_a_store_nothing_is_kept(bench: Any) -> None:
    response = await bench.http.post(PATH, json=BODY, headers=RESUME | {"idempotency-key": "one"})
    assert b"id: " not in response.content
    assert (await bench.http.get("/v1/streams/mine")).status_code == 501


async def test_limits_count_a_stream_once(tmp_path: Path) -> None:
    steps = Steps()
    steps.go(steps.all)
    acme = {"authorization": f"Bearer {KEYS['acme']}"}
    one = await tenants(tmp_path, {"limit": "requests", "most": 1, "per": "day"})
    async with gateways(tmp_path, steps, tenants=one) as (bench,):
        assert (await bench.http.post(PATH, json=BODY, headers=RESUME | acme)).status_code == 200
        assert (await bench.http.get("/v1/streams/mine", headers=acme)).status_code == 200
