"""Ensemble: all steps at once, joined."""

import asyncio
import json

import pytest

from tests.switchyard.router.running import Call, always, forever, node, raw, router, services, until


async def test_responses_are_joined_by_name_or_index() -> None:
    async with services() as behind:
        unnamed = {key: value for key, value in behind.step("b").items() if key != "name"}
        async with router(behind, {"root": node("Ensemble", behind.step("a"), unnamed)}) as one:
            answer = await one.post({"x": 1})
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            got = '{"x":1}'
            assert answer.json() == {"a": {"from": "a", "got": got}, "1": {"from": "b", "got": got}}


async def test_a_failed_soft_step_is_part_of_the_response() -> None:
    async with (
        services(bad=always(500, {"wrong": 1}), good=always(200, {"right": 1})) as behind,
        router(behind, {"root": node("Ensemble", behind.step("bad"), behind.step("good"))}) as one,
    ):
        answer = await one.post()
        assert (answer.status_code, answer.json()) == (200, {"bad": {"wrong": 1}, "good": {"right": 1}})


async def test_the_first_failed_hard_step_in_order_decides_and_the_rest_are_cancelled() -> None:
    release = asyncio.Event()

    async def late(call: Call) -> None:
        await release.wait()
        call.answer({"first": 1}, 501)

    async def early(call: Call) -> None:
        call.answer({"second": 1}, 502, (b"retry-after", b"1"))
        release.set()

    async with services(late=late, early=early, slow=forever) as behind:
        steps = [behind.step(name, dependency="Hard") for name in ("late", "early", "slow")]
        async with router(behind, {"root": node("Ensemble", *steps)}) as one:
            answer = await one.post()
            assert (answer.status_code, answer.json()) == (501, {"first": 1})
            await until(lambda: behind.cancelled == ["slow"])


@pytest.mark.parametrize("body", [b"[1]", b"plain", b'"text"', b"{", b"", b"data: {}\n\n"])
async def test_a_response_that_is_no_object_fails_the_node_and_cancels_the_rest(body: bytes) -> None:
    async with (
        services(odd=raw(200, body), slow=forever) as behind,
        router(behind, {"root": node("Ensemble", behind.step("slow"), behind.step("odd"))}) as one,
    ):
        answer = await one.post()
        assert answer.status_code == 500
        assert "step odd of node root did not respond with a JSON object" in answer.json()["cause"]
        await until(lambda: behind.cancelled == ["slow"])


async def test_null_is_an_object_of_nothing_as_for_gos_decoder() -> None:
    async with (
        services(none=raw(200, b" null\n")) as behind,
        router(behind, {"root": node("Ensemble", behind.step("none"))}) as one,
    ):
        assert (await one.post()).json() == {"none": None}


async def test_numbers_keep_their_digits() -> None:
    async with (
        services(big=raw(200, b'{"n": 12345678901234567890123, "f": 1.10}')) as behind,
        router(behind, {"root": node("Ensemble", behind.step("big"))}) as one,
    ):
        assert (await one.post()).content == b'{"big":{"n": 12345678901234567890123, "f": 1.10}}'


async def test_no_more_steps_run_at_once_than_allowed() -> None:
    now = most = 0

    async def counted(call: Call) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        call.answer({})

    names = [f"s{number}" for number in range(10)]
    async with services(**dict.fromkeys(names, counted)) as behind:
        nodes = {"root": node("Ensemble", *map(behind.step, names))}
        async with router(behind, nodes, parallel=3) as one:
            assert sorted(json.loads((await one.post()).content)) == sorted(names)
            assert most == 3


async def test_a_nested_node_is_a_part_like_any_other() -> None:
    async with services(a=always(200, {"n": 1}), b=always(200, {"n": 2})) as behind:
        nodes = {
            "root": node("Ensemble", {"name": "inner", "nodeName": "two"}, behind.step("a")),
            "two": node("Ensemble", behind.step("a"), behind.step("b")),
        }
        async with router(behind, nodes) as one:
            assert (await one.post()).json() == {"inner": {"a": {"n": 1}, "b": {"n": 2}}, "a": {"n": 1}}
