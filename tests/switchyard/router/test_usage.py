"""What the steps of a graph used is said of all of them, to who asks."""

import json
from typing import Any

import httpx
import pytest

from tests.switchyard.router.running import JSON, Call, Script, always, node, router, services

ASKS = {"x-switchyard-usage": "1"}


def says(tokens: int, status: int = 200, **more: int) -> Script:
    """A predictor of ours."""
    said = json.dumps({"prompt_tokens": tokens, **more}).encode()
    return always(status, {"usage": {"prompt_tokens": 999}}, (b"x-switchyard-usage", said))


def streams(tokens: int, *headers: tuple[bytes, bytes]) -> Script:
    async def script(call: Call) -> None:
        comment = b': usage {"prompt_tokens":%d}\n\n' % tokens
        call.exchange.start(200, [(b"content-type", b"text/event-stream"), *headers])
        call.exchange.write(b"data: 1\n\n" + comment + b"data: [DONE]\n\n")
        call.exchange.end()

    return script


def usage(response: httpx.Response) -> tuple[Any, Any]:
    """What the response says of its last step, and of those before it."""
    assert response.status_code == 200, response.text
    found = [response.headers.get(name) for name in ("x-switchyard-usage", "x-switchyard-usage-before")]
    return (found[0] and json.loads(found[0]), found[1] and json.loads(found[1]))


async def test_a_sequence_says_what_the_steps_before_the_last_used() -> None:
    async with services(a=says(1, inferences=2), b=says(10, completion_tokens=5), c=says(100)) as behind:
        steps = [behind.step(name) for name in "abc"]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            before = {"prompt_tokens": 11, "completion_tokens": 5, "inferences": 2}
            assert usage(await one.post(**ASKS)) == ({"prompt_tokens": 100}, before)
            assert all(b"x-switchyard-usage" in call.headers for call in behind.calls)


async def test_a_stream_begins_with_what_the_steps_before_it_used_and_is_forwarded_as_it_is() -> None:
    async with (
        services(a=says(1), chat=streams(100)) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"), behind.step("chat"))}) as one,
    ):
        response = await one.post(**ASKS)
        assert usage(response) == (None, {"prompt_tokens": 1})
        assert response.content == b'data: 1\n\n: usage {"prompt_tokens":100}\n\ndata: [DONE]\n\n'


async def test_a_server_that_is_not_ours_says_it_in_its_body() -> None:
    async with (
        services(a=always(200, {"usage": {"prompt_tokens": 7}}), b=always(200, {})) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"), behind.step("b"))}) as one,
    ):
        assert usage(await one.post(**ASKS)) == (None, {"prompt_tokens": 7})


async def test_a_step_that_failed_used_nothing_and_its_fallback_says_its_own() -> None:
    async with services(a=says(1, 503), b=says(10)) as behind:
        steps = [behind.step("a"), behind.step("b", condition="[@this].#(error.code==503)")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            assert usage(await one.post(**ASKS)) == ({"prompt_tokens": 10}, None)


async def test_an_ensemble_says_what_all_its_steps_used() -> None:
    async with (
        services(a=says(1), b=always(200, {"usage": {"prompt_tokens": 10}}), bad=says(100, 400)) as behind,
        router(behind, {"root": node("Ensemble", *map(behind.step, ("a", "b", "bad")))}) as one,
    ):
        assert usage(await one.post(**ASKS)) == ({"prompt_tokens": 11}, None)


@pytest.mark.parametrize("kind", ["Sequence", "Ensemble"])
async def test_graphs_within_graphs_add_up(kind: str) -> None:
    async with services(a=says(1), b=says(10), c=says(100), chat=streams(1000)) as behind:
        nodes = {
            "root": node("Sequence", {"name": "inner", "nodeName": "inner"}, {"name": "last", "nodeName": "last"}),
            "inner": node(kind, behind.step("a"), behind.step("b")),
            "last": node("Sequence", behind.step("c"), behind.step("chat")),
        }
        async with router(behind, nodes) as one:
            assert usage(await one.post(**ASKS)) == (None, {"prompt_tokens": 111})


async def test_a_response_of_another_router_is_added_to() -> None:
    said = (b"x-switchyard-usage-before", b'{"prompt_tokens":10}')
    async with (
        services(a=says(1), graph=streams(100, said)) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"), behind.step("graph"))}) as one,
    ):
        assert usage(await one.post(**ASKS)) == (None, {"prompt_tokens": 11})


async def test_who_does_not_ask_gets_no_sums() -> None:
    async with services(a=always(200, {"usage": {"prompt_tokens": 7}}), b=always(200, {}, JSON)) as behind:
        for kind in ("Sequence", "Ensemble"):
            async with router(behind, {"root": node(kind, behind.step("a"), behind.step("b"))}) as one:
                assert usage(await one.post()) == (None, None)
