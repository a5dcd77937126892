"""Equal requests get the response that is there, and nobody gets another's."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from switchyard.catalog import State
from tests.switchyard.gateway.cache.cached import CHAT, GREEDY, Counted, ask, result, tenants
from tests.switchyard.gateway.conftest import Call, until
from tests.switchyard.gateway.recordings.recorded import Steps, gateways
from tests.switchyard.gateway.tenants.access import KEYS

STREAM = {**GREEDY, "stream": True, "stream_options": {"include_usage": True}}
TOOL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a": "ü"}'}}


async def test_an_equal_request_gets_the_response_that_is_there_with_its_age(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        first, second = await ask(bench), await ask(bench, {**dict(reversed(GREEDY.items())), "user": "ann"})
    assert [result(first), result(second)] == [(200, "miss"), (200, "hit")]
    assert second.content == first.content
    assert second.headers["content-type"] == first.headers["content-type"]
    assert "age" not in first.headers
    assert 0 <= int(second.headers["age"]) < 10
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert len(bench.model.calls) == 1


async def test_a_stream_is_sent_again_as_it_was_byte_by_byte(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        first, second = await ask(bench, STREAM), await ask(bench, STREAM)
        without = await ask(bench, {**GREEDY, "stream": True})
    assert [result(first), result(second)] == [(200, "miss"), (200, "hit")]
    assert second.content == first.content
    assert first.content.endswith(b"data: [DONE]\n\n")
    assert second.headers["content-type"] == first.headers["content-type"] == "text/event-stream"
    assert b"usage" not in without.content


async def test_usage_tool_calls_and_the_finish_reason_are_those_of_the_original(tmp_path: Path) -> None:
    async def script(call: Call) -> None:
        if json.loads(call.body).get("stream"):
            await call.start(content_type=b"text/event-stream")
            for delta, end in (({"tool_calls": [TOOL]}, None), ({}, "tool_calls")):
                choices = [{"index": 0, "delta": delta, "finish_reason": end}]
                await call.chunk(b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n")
            await call.end(b"data: [DONE]\n\n")
            return
        message = {"role": "assistant", "content": None, "tool_calls": [TOOL]}
        usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}
        choices = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
        await call.answer({"id": "1", "model": "chat", "created": 1, "choices": choices, "usage": usage})

    asked = {**GREEDY, "tools": [{"type": "function", "function": {"name": "look"}}]}
    async with gateways(tmp_path, script, tenants=await tenants(tmp_path)) as (bench,):
        whole = [await ask(bench, asked) for _ in range(2)]
        streamed = [await ask(bench, {**asked, "stream": True}) for _ in range(2)]
    assert [result(one) for one in (*whole, *streamed)] == [(200, "miss"), (200, "hit")] * 2
    assert whole[1].json() == whole[0].json()
    assert whole[1].json()["choices"][0]["message"]["tool_calls"] == [TOOL]
    assert whole[1].json()["choices"][0]["finish_reason"] == "tool_calls"
    assert whole[1].json()["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}
    assert streamed[1].content == streamed[0].content


@pytest.mark.parametrize("payload", [GREEDY, STREAM])
async def test_two_tenants_with_equal_prompts_never_share(payload: dict[str, Any], tmp_path: Path) -> None:
    model = Counted()
    model.open.clear()
    async with gateways(tmp_path, model, 2, tenants=await tenants(tmp_path)) as benches:
        # Also while both are made, and at another gateway.
        asking = [asyncio.create_task(ask(benches[0], payload, tenant=name)) for name in ("acme", "globex")]
        await until(lambda: model.asked == 2)
        model.open.set()
        first = [await one for one in asking]
        again = [await ask(bench, payload, tenant=name) for bench in benches for name in ("acme", "globex")]
    assert [result(one) for one in first] == [(200, "miss")] * 2
    assert [result(one) for one in again] == [(200, "hit")] * 4
    assert first[0].content != first[1].content
    assert [one.content for one in again] == [one.content for one in first] * 2


async def test_tenants_share_by_configuration_alone(tmp_path: Path) -> None:
    shared = {"cache": {"share": "labs"}}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, shared, shared)) as (bench,):
        assert result(await ask(bench)) == (200, "miss")
        assert result(await ask(bench, tenant="globex")) == (200, "hit")


async def test_a_word_of_those_who_share_is_no_tenants_name(tmp_path: Path) -> None:
    of_other = {"cache": {"share": "acme"}}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, globex=of_other)) as (bench,):
        assert result(await ask(bench)) == (200, "miss")
        assert result(await ask(bench, tenant="globex")) == (200, "miss")


async def test_a_tenant_without_a_cache_has_none(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, {})) as (bench,):
        assert [result(await ask(bench)) for _ in range(2)] == [(200, None)] * 2


async def test_only_models_that_the_cache_names_are_cached(tmp_path: Path) -> None:
    named = {"cache": {"models": ["sleep*"]}}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path, named)) as (bench,):
        assert result(await ask(bench)) == (200, None)
        assert result(await ask(bench, {**GREEDY, "model": "sleepy"})) == (200, "miss")


async def test_a_gateway_without_keys_caches_if_its_settings_say_so(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), cache_seconds=60) as (bench,):
        responses = [await bench.http.post(CHAT, json=GREEDY) for _ in range(2)]
        assert await bench.metric('gateway_cache_requests_total{model="chat",result="hit"} 1.0')
        assert await bench.metric('gateway_cache_requests_total{model="chat",result="bypass"} 0.0')
    assert [result(one) for one in responses] == [(200, "miss"), (200, "hit")]


async def test_another_revision_of_the_model_misses_and_is_kept_once_it_is_settled(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        bench.put("chat", revision="r1")
        assert result(await ask(bench)) == (200, "miss")
        assert result(await ask(bench)) == (200, "hit")
        bench.put("chat", revision="r2")
        fresh = await ask(bench)
        assert result(fresh) == (200, "bypass")  # whether the process has it already is not known yet
        assert fresh.json()["choices"][0]["message"]["content"] == "response 2"


async def test_what_an_earlier_content_said_is_not_kept_as_that_of_a_newer_one(tmp_path: Path) -> None:
    steps = Steps()
    async with gateways(tmp_path, steps, 2, tenants=await tenants(tmp_path)) as (bench, other):
        asking = asyncio.create_task(ask(bench))
        await until(lambda: steps.begun == 1)
        bench.put("chat", revision="r2")
        steps.go(steps.all)
        assert result(await asking) == (200, "miss")
        steps.go(steps.all)
        assert result(await ask(other)) == (200, "miss")


async def test_a_sleeping_model_is_not_waked_for_what_is_there(tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        await ask(bench)
        bench.put("chat", state=State(phase="asleep"), url="http://127.0.0.1:1")
        assert result(await ask(bench)) == (200, "hit")


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({"model": "chat", "messages": []}, CHAT),
        ({"model": "chat", "input": "a", "temperature": 0, "previous_response_id": "resp_1"}, "/v1/responses"),
    ],
)
async def test_what_may_differ_is_not_cached(payload: dict[str, Any], path: str, tmp_path: Path) -> None:
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        assert [result(await ask(bench, payload, path=path)) for _ in range(2)] == [(200, "bypass")] * 2
        assert len(bench.model.calls) == 2


async def test_sampled_output_is_cached_for_who_asks_for_that(tmp_path: Path) -> None:
    sampled = {"model": "chat", "messages": []}
    async with gateways(tmp_path, Counted(), tenants=await tenants(tmp_path)) as (bench,):
        found = [result(await ask(bench, sampled, x_switchyard_cache="force")) for _ in range(2)]
    assert found == [(200, "miss"), (200, "hit")]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("status", 500),
        ("error event", 200),
        ("cut", 200),
        ("aborted", 200),
        ("no-store", 200),
        ("encoded", 200),
    ],
)
async def test_what_is_incomplete_failed_or_not_to_be_kept_is_not_kept(
    script: str, status: int, tmp_path: Path
) -> None:
    async def respond(call: Call) -> None:
        if script == "status":
            await call.answer({"error": {"message": "no"}}, status=500)
        elif script in ("error event", "cut"):
            await call.start(content_type=b"text/event-stream")
            await call.chunk(b'data: {"choices":[]}\n\n')
            if script == "cut":
                raise ConnectionError
            await call.end(b'data: {"error":{"message":"no","code":500}}\n\ndata: [DONE]\n\n')
        else:
            extra: dict[str, Any] = {
                "no-store": {"cache_control": "no-store"},
                "encoded": {"content_encoding": "br"},
            }.get(script, {})
            reason = "abort" if script == "aborted" else "stop"
            await call.answer({"choices": [{"index": 0, "finish_reason": reason}]}, **extra)

    async with gateways(tmp_path, respond, tenants=await tenants(tmp_path)) as (bench,):
        payload = STREAM if script in ("error event", "cut") else GREEDY
        found = []
        for _ in range(2):
            headers = {"authorization": f"Bearer {KEYS['acme']}"}
            async with bench.http.stream("POST", CHAT, json=payload, headers=headers) as response:
                found.append(result(response))
                async for _ in response.aiter_raw():
                    pass
    assert found == [(status, "miss")] * 2
    assert len(bench.model.calls) == 2
