"""Sequence: what each step is given, when it ends early, and how a step stands in for another."""

import asyncio

import pytest

from tests.switchyard.router.running import Call, always, forever, node, raw, router, services, stream

UNAVAILABLE = "[@this].#(error.code==503)"


async def test_each_step_gets_the_request_unless_it_asks_for_the_previous_response() -> None:
    async with services() as behind:
        steps = [behind.step("a"), behind.step("b"), behind.step("c", data="$response")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post({"x": 1})
            first, second, third = behind.calls
            assert first.body == second.body == b'{"x":1}'
            assert third.body == b'{"from": "b", "got": "{\\"x\\":1}"}'
            assert answer.json()["from"] == "c"


async def test_the_first_step_gets_the_request_even_if_it_asks_for_a_response() -> None:
    async with (
        services() as behind,
        router(behind, {"root": node("Sequence", behind.step("a", data="$response"))}) as one,
    ):
        await one.post({"x": 1})
        assert behind.calls[0].body == b'{"x":1}'


async def test_a_failed_soft_step_hands_on_its_error_and_the_last_status_counts() -> None:
    async with services(bad=always(400, {"wrong": True})) as behind:
        steps = [behind.step("bad"), behind.step("next", data="$response")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post()
            assert answer.status_code == 200
            assert answer.json()["got"] == '{"wrong": true}'


async def test_a_failed_hard_step_ends_the_sequence_with_its_response() -> None:
    async with services(bad=always(422, {"wrong": True}, (b"x-why", b"because"))) as behind:
        steps = [behind.step("bad", dependency="Hard"), behind.step("next")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post()
            assert (answer.status_code, answer.json()) == (422, {"wrong": True})
            assert answer.headers["x-why"] == "because"
            assert behind.names == ["bad"]


async def test_a_condition_is_tested_on_the_previous_response() -> None:
    async with services(guard=always(200, {"safe": True})) as behind:
        steps = [behind.step("guard"), behind.step("chat", condition="[@this].#(safe==true)")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            assert (await one.post()).json()["from"] == "chat"


async def test_when_a_condition_does_not_hold_the_previous_response_is_the_response_with_its_own_status() -> None:
    async with services(guard=always(403, {"safe": False})) as behind:
        steps = [behind.step("guard"), behind.step("chat", condition="missing"), behind.step("more")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post()
            assert (answer.status_code, answer.json()) == (403, {"safe": False})
            assert behind.names == ["guard"]


async def test_a_condition_on_the_first_step_is_a_500() -> None:
    async with services() as behind, router(behind, {"root": node("Sequence", behind.step("a", condition="x"))}) as one:
        answer = await one.post()
        assert answer.status_code == 500
        assert "invalid response" in answer.json()["cause"]


async def test_a_condition_on_a_response_that_is_no_json_is_a_500() -> None:
    async with services(odd=raw(200, b"plain")) as behind:
        steps = [behind.step("odd"), behind.step("b", condition="x")]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post()
            assert answer.status_code == 500
            assert answer.json()["cause"].startswith("invalid response: step odd of node root gave no JSON")


async def test_predictions_become_the_instances_of_the_next_step() -> None:
    async with services(a=always(200, {"predictions": [[1, 2.5]], "model_name": "a"})) as behind:
        steps = [behind.step("a"), behind.step("b", data="$response", mapPredictionsToInstances=True)]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            await one.post()
            assert behind.calls[1].body == b'{"instances":[[1,2.5]]}'


async def test_the_last_step_streams_and_each_chunk_comes_at_once() -> None:
    gate = asyncio.Event()
    async with services(chat=stream(b"data: 1\n\n", b"data: 2\n\n", gate=gate)) as behind:
        steps = [behind.step("first"), behind.step("chat", data="$response")]
        async with (
            router(behind, {"root": node("Sequence", *steps)}) as one,
            one.http.stream("POST", "/", json={}) as answer,
        ):
            chunks = answer.aiter_raw()
            assert answer.headers["content-type"] == "text/event-stream"
            assert await anext(chunks) == b"data: 1\n\n"
            gate.set()
            assert await anext(chunks) == b"data: 2\n\n"


async def test_notes_of_earlier_steps_reach_the_client() -> None:
    note, other = (b"x-switchyard-tier", b"reasoning"), (b"x-other", b"1")
    scripts = {"tier": always(200, {}, note, other, (b"x-switchyard-score", b"1"))}
    scripts["chat"] = always(200, {}, (b"x-switchyard-score", b"2"))
    async with (
        services(**scripts) as behind,
        router(behind, {"root": node("Sequence", behind.step("tier"), behind.step("chat"))}) as one,
    ):
        answer = await one.post()
        assert answer.headers["x-switchyard-tier"] == "reasoning"
        assert answer.headers["x-switchyard-score"] == "2"
        assert "x-other" not in answer.headers


@pytest.mark.parametrize(
    "script",
    [always(503, {"error": {"code": 503}}), always(503, {"error": "no"}), raw(503, b"no healthy upstream")],
)
async def test_a_step_is_the_fallback_of_one_that_is_unavailable_and_streams(script: object) -> None:
    scripts = {"fast": script, "reasoning": stream(b"data: 1\n\n")}
    async with services(**scripts) as behind:  # type: ignore[arg-type]
        steps = [behind.step("fast"), behind.step("reasoning", condition=UNAVAILABLE)]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post({"stream": True})
            assert (answer.status_code, answer.content) == (200, b"data: 1\n\n")
            assert behind.names == ["fast", "reasoning"]
            assert behind.calls[1].body == b'{"stream":true}'


async def test_a_step_is_the_fallback_of_one_that_cannot_be_reached() -> None:
    async with services() as behind:
        gone = {"name": "fast", "serviceUrl": "http://127.0.0.1:1/x"}
        steps = [gone, behind.step("reasoning", condition=UNAVAILABLE)]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            assert (await one.post()).json()["from"] == "reasoning"
            assert one.metric('graph_step_retries_total{node="root",step="fast"} 0.0')


@pytest.mark.parametrize("status", [200, 400, 500, 502, 504])
async def test_other_responses_are_sent_though_a_step_could_be_the_fallback(status: int) -> None:
    async with services(fast=always(status, {"x": 1})) as behind:
        steps = [behind.step("fast"), behind.step("reasoning", condition=UNAVAILABLE)]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post()
            assert (answer.status_code, answer.json()) == (status, {"x": 1})
            assert behind.names == ["fast"]


async def test_a_stream_is_given_at_once_though_a_step_could_be_the_fallback() -> None:
    gate = asyncio.Event()
    async with services(fast=stream(b"data: 1\n\n", b"data: 2\n\n", gate=gate)) as behind:
        steps = [behind.step("fast"), behind.step("reasoning", condition=UNAVAILABLE)]
        async with (
            router(behind, {"root": node("Sequence", *steps)}) as one,
            one.http.stream("POST", "/", json={}) as answer,
        ):
            chunks = answer.aiter_raw()
            assert await anext(chunks) == b"data: 1\n\n"
            gate.set()
            assert await anext(chunks) == b"data: 2\n\n"
        assert behind.names == ["fast"]


async def test_when_both_are_unavailable_the_last_says_so() -> None:
    async with services(fast=always(503, {}), reasoning=always(503, {"last": 1})) as behind:
        steps = [behind.step("fast"), behind.step("reasoning", condition=UNAVAILABLE)]
        async with router(behind, {"root": node("Sequence", *steps)}) as one:
            answer = await one.post()
            assert (answer.status_code, answer.json()) == (503, {"last": 1})


async def test_a_step_that_is_too_slow_is_a_500_in_time() -> None:
    async with services(slow=forever) as behind:
        nodes = {"root": node("Sequence", behind.step("slow"))}
        async with router(behind, nodes, timeouts={"serviceClient": 1}) as one:
            answer = await one.post()
            assert answer.status_code == 500
            assert "within 1 s" in answer.json()["cause"]


async def test_an_earlier_response_that_trickles_is_over_when_the_time_is() -> None:
    async def trickle(call: Call) -> None:
        call.exchange.start(200, [])
        while True:
            call.exchange.write(b" ")
            await asyncio.sleep(0.05)

    async with services(slow=trickle) as behind:
        nodes = {"root": node("Sequence", behind.step("slow"), behind.step("next"))}
        async with router(behind, nodes, timeouts={"serviceClient": 1}) as one:
            answer = await one.post()
            assert answer.status_code == 500
            assert "not complete in time" in answer.json()["cause"]
        assert behind.cancelled == ["slow"]


async def test_an_earlier_response_that_breaks_off_is_a_500() -> None:
    async def breaks(call: Call) -> None:
        call.exchange.start(200, [])
        call.exchange.write(b"part")
        call.exchange.abort()

    async with (
        services(a=breaks) as behind,
        router(behind, {"root": node("Sequence", behind.step("a"), behind.step("b"))}) as one,
    ):
        assert (await one.post()).status_code == 500
        assert behind.names == ["a"]
