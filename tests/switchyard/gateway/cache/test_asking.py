"""What a client may ask of the cache, and what equal requests in flight share."""

import asyncio
import json
from pathlib import Path

import pytest

from switchyard.gateway.cache import stages
from switchyard.store.contract import StoreError
from switchyard.store.recordings.contract import Page, Recordings
from tests.switchyard.gateway.cache.cached import GREEDY, Counted, ask, result, tenants
from tests.switchyard.gateway.conftest import gateway, until
from tests.switchyard.gateway.recordings.recorded import Steps, gateways, recordings, sent
from tests.switchyard.gateway.tenants.access import KEYS

CHAT = "/v1/chat/completions"
STREAM = {**GREEDY, "stream": True}
WITH_USAGE = {**STREAM, "stream_options": {"include_usage": True}}
OF_ACME = {"authorization": f"Bearer {KEYS['acme']}"}


async def test_no_store_neither_reads_nor_writes(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        assert result(await ask(bench, cache_control="no-store")) == (200, "bypass")
        assert result(await ask(bench)) == (200, "miss")
        assert result(await ask(bench, cache_control="no-store")) == (200, "bypass")


async def test_no_cache_has_the_response_made_and_kept_anew(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        await ask(bench)
        fresh = await ask(bench, cache_control="no-cache")
        after = await ask(bench)
    assert (result(fresh), result(after)) == ((200, "miss"), (200, "hit"))
    assert fresh.json()["created"] == after.json()["created"] == 2


async def test_max_age_takes_what_is_young_enough(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        await ask(bench)
        assert result(await ask(bench, cache_control="max-age=3600")) == (200, "hit")
        assert result(await ask(bench, cache_control="max-age=0")) == (200, "miss")


async def test_only_if_cached_asks_no_model(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        missing = await ask(bench, cache_control="only-if-cached")
        sampled = await ask(bench, {"model": "chat", "messages": []}, cache_control="only-if-cached")
        for response in (missing, sampled):
            assert (response.status_code, response.json()["error"]["code"]) == (504, "not_cached")
            assert response.headers["x-should-retry"] == "false"
        assert bench.model.calls == []
        await ask(bench)
        assert result(await ask(bench, cache_control="only-if-cached")) == (200, "hit")
        assert (await ask(bench, cache_control="only-if-cached, no-cache")).status_code == 504


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("payload", [GREEDY, STREAM])
async def test_equal_requests_in_flight_share_one_generation(
    payload: dict[str, object], count: int, tmp_path: Path
) -> None:
    steps = Steps()
    async with gateways(tmp_path, steps, count, tenants=await tenants(tmp_path)) as benches:
        async with sent(benches[0], CHAT, payload, OF_ACME) as first:
            await until(lambda: steps.begun == 1)
            async with sent(benches[-1], CHAT, payload, OF_ACME) as second:
                steps.go(2)
                if payload is STREAM:
                    await until(lambda: len(second.body) == len(b"".join(steps.events[:2])))
                steps.go(steps.all - 2)
                await until(lambda: first.done and second.done)
        headers = [one.headers["x-switchyard-cache"] for one in (first, second)]
        if payload is GREEDY and count == 1:  # the whole response came before the second was there, or not
            assert headers in (["miss", "joined"], ["miss", "hit"])
        else:
            assert headers == ["miss", "joined"]
        assert second.body == first.body
        assert steps.begun == 1


async def test_who_joined_has_all_of_it_though_the_first_client_leaves(tmp_path: Path) -> None:
    steps = Steps()
    async with (
        gateways(tmp_path, steps, tenants=await tenants(tmp_path)) as (bench,),
        sent(bench, CHAT, STREAM, OF_ACME) as first,
    ):
        await until(lambda: steps.begun == 1)
        async with sent(bench, CHAT, STREAM, OF_ACME) as second:
            steps.go()
            await until(lambda: bool(first.body and second.body))
            await first.disconnect()
            steps.go(steps.all)
            await until(lambda: second.done)
        assert second.body == b"".join(steps.events) + steps.end
        assert (steps.begun, steps.left) == (1, 0)


async def test_the_last_client_that_leaves_ends_the_work(tmp_path: Path) -> None:
    steps = Steps()
    async with gateways(tmp_path, steps, tenants=await tenants(tmp_path)) as (bench,):
        async with sent(bench, CHAT, STREAM, OF_ACME) as first:
            await until(lambda: steps.begun == 1)
            await first.disconnect()
            await until(lambda: steps.left == 1)
        steps.go(steps.all)
        assert result(await ask(bench, STREAM)) == (200, "miss")


async def test_who_wants_none_that_began_before_does_not_join(tmp_path: Path) -> None:
    model = Counted()
    model.open.clear()
    async with gateways(tmp_path, model, tenants=await tenants(tmp_path)) as (bench,):
        first = asyncio.create_task(ask(bench))
        await until(lambda: model.asked == 1)
        second = asyncio.create_task(ask(bench, cache_control="no-cache"))
        await until(lambda: model.asked == 2)
        model.open.set()
        assert [result(await one) for one in (first, second)] == [(200, "miss")] * 2


async def test_who_joined_is_not_told_of_anothers_limit(tmp_path: Path) -> None:
    limited = {"cache": {"share": "labs"}, "limits": [{"limit": "requests", "most": 1, "per": "day"}]}
    of_both = await tenants(tmp_path, limited, {"cache": {"share": "labs"}})
    async with gateways(tmp_path, Counted(), tenants=of_both) as (bench,):
        other = {**GREEDY, "seed": 1}
        assert result(await ask(bench, other)) == (200, "miss")
        found = await asyncio.gather(*(ask(bench, tenant=name) for name in ("acme", "globex", "acme", "globex")))
        assert [one.status_code for one in found] == [429, 200, 429, 200]


async def test_a_plain_response_is_streamed_to_who_wants_that(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        plain = (await ask(bench)).json()
        streamed, with_usage = await ask(bench, STREAM), await ask(bench, WITH_USAGE)
        again = await ask(bench, STREAM)
        assert [result(one) for one in (streamed, with_usage, again)] == [(200, "hit")] * 3
        assert len(bench.model.calls) == 1
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert again.content == streamed.content
    *chunks, usage = [
        json.loads(line.removeprefix("data: ")) for line in with_usage.text.split("\n\n") if line.startswith("data: {")
    ]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert text == plain["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"] == plain["usage"]


async def test_a_stream_with_usage_is_a_plain_response_to_who_wants_that(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        await ask(bench, WITH_USAGE)
        plain = await ask(bench)
        assert result(plain) == (200, "hit")
        assert plain.headers["content-type"] == "application/json"
        said = plain.json()
    assert said["choices"][0]["message"] == {"role": "assistant", "content": "response 1"}
    assert (said["object"], said["usage"]["total_tokens"]) == ("chat.completion", 10)


async def test_what_is_converted_lives_no_longer_than_the_original(tmp_path: Path) -> None:
    async with (
        gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,),
        recordings(tmp_path) as store,
    ):
        await ask(bench, WITH_USAGE)
        held = await store.held("tenant:acme")
        assert held["cache"].recordings == 1
        await ask(bench)
        assert (await store.held("tenant:acme"))["cache"].recordings == 2


class Away:
    """A store in front of another one, which can be away."""

    def __init__(self, inner: Recordings) -> None:
        self._inner = inner
        self.away = True
        self.asked = 0

    def __getattr__(self, name: str) -> object:
        operation = getattr(self._inner, name)

        async def call(*args: object, **named: object) -> Page | None:
            self.asked += 1
            if self.away and name != "aclose":
                raise StoreError("the store does not respond")
            return await operation(*args, **named)  # type: ignore[no-any-return]

        return call


@pytest.mark.parametrize("payload", [GREEDY, STREAM])
async def test_a_store_that_is_away_is_passed_by(
    payload: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "_AWAY_SECONDS", 0.0)
    of_both = await tenants(tmp_path)
    async with recordings(tmp_path) as inner:
        away = Away(inner)
        async with gateway(tmp_path, Counted(), tenants=of_both, recordings=away) as bench:  # type: ignore[arg-type]
            assert [result(await ask(bench, payload)) for _ in range(2)] == [(200, "bypass")] * 2
            assert (await ask(bench, payload, cache_control="only-if-cached")).status_code == 504
            away.away = False
            assert [result(await ask(bench, payload)) for _ in range(2)] == [(200, "miss"), (200, "hit")]
            assert await metric(bench, "gateway_cache_store_errors_total 3.0")


async def test_a_store_that_goes_away_while_a_response_is_made_costs_no_client_its_response(tmp_path: Path) -> None:
    steps, of_both = Steps(), await tenants(tmp_path)
    async with recordings(tmp_path) as inner:
        away = Away(inner)
        away.away = False
        async with (
            gateway(tmp_path, steps, tenants=of_both, recordings=away) as bench,  # type: ignore[arg-type]
            sent(bench, CHAT, STREAM, OF_ACME) as client,
        ):
            await until(lambda: steps.begun == 1)
            away.away = True
            steps.go(steps.all)
            await until(lambda: client.done)
            assert client.body == b"".join(steps.events) + steps.end
            away.away = False  # else the gateway would try until the lease is over


async def metric(bench: object, line: str) -> bool:
    headers = {"authorization": f"Bearer {KEYS['scraper']}"}
    return line in (await bench.http.get("/metrics", headers=headers)).text.splitlines()  # type: ignore[attr-defined]
