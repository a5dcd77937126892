"""Models that sleep: many clients wake one once, it stays listed throughout, and it sleeps again."""

import asyncio
import json
from collections.abc import Awaitable

import httpx
import pytest

from tests.live.platform import Platform, metric
from tests.live.processes import DEADLINE, alive, descendants, eventually

pytestmark = pytest.mark.live

WINDOW = "3s"
MODEL = "chat-fast"
QUESTION = "Ana has 3 apples and gets 4 more. How many apples does Ana have?"


@pytest.fixture
async def client(platform: Platform) -> httpx.AsyncClient:
    """A client of a platform whose model sleeps."""
    await until_asleep(platform)
    limits = httpx.Limits(max_connections=100)
    return httpx.AsyncClient(base_url=platform.url, timeout=DEADLINE, limits=limits, trust_env=False)


async def until_asleep(platform: Platform) -> None:
    await asyncio.to_thread(eventually, lambda: platform.model(MODEL)["state"] == "asleep", f"{MODEL} sleeps")


def starts(platform: Platform) -> float:
    return metric(platform.record()["control"], "local_starts_total", f'model="{MODEL}"')


def chat(**options: object) -> dict[str, object]:
    return {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16, **options}


async def plain(client: httpx.AsyncClient) -> str:
    answer = await client.post("/v1/chat/completions", json=chat())
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


async def streamed(client: httpx.AsyncClient) -> str:
    async with client.stream("POST", "/v1/chat/completions", json=chat(stream=True)) as answer:
        assert answer.status_code == 200
        text = "".join([chunk async for chunk in answer.aiter_text()])
    assert text.rstrip().endswith("data: [DONE]"), text
    assert '"error"' not in text
    return text


async def v2(client: httpx.AsyncClient) -> str:
    asked = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": [QUESTION]}
    answer = await client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [asked], "parameters": {"max_tokens": 16}})
    assert answer.status_code == 200, answer.text
    return str(next(output for output in answer.json()["outputs"] if output["name"] == "text_output")["data"][0])


async def watch(client: httpx.AsyncClient, work: Awaitable[object]) -> list[str]:
    """The states of the model in the list of models while ``work`` goes on; it is always listed."""
    states, task = [], asyncio.ensure_future(work)
    while not task.done():
        rows = (await client.get("/v1/models")).json()["data"]
        states += [row["state"] for row in rows if row["id"] == MODEL]
        assert states[-1:]
        await asyncio.wait({task}, timeout=0.1)
    await task
    return list(dict.fromkeys(states))


async def test_fifty_clients_at_once_wake_a_model_once_and_all_get_responses(
    platform: Platform, client: httpx.AsyncClient
) -> None:
    before = starts(platform)
    async with client:
        kinds = [(plain, streamed, v2)[number % 3] for number in range(50)]
        tasks = [asyncio.ensure_future(kind(client)) for kind in kinds]
        states = await watch(client, asyncio.gather(*tasks))
    assert starts(platform) == before + 1
    assert set(states) <= {"asleep", "waking", "ready"}
    assert "waking" in states
    answers = [task.result() for task in tasks]
    assert all(answers)
    streams = [answer for kind, answer in zip(kinds, answers, strict=True) if kind is streamed]
    assert all(f": waking {MODEL}" in answer for answer in streams)


async def test_clients_that_disconnect_while_waiting_do_not_break_the_others(
    platform: Platform, client: httpx.AsyncClient
) -> None:
    before = starts(platform)
    async with client:
        leaving = [asyncio.ensure_future(kind(client)) for kind in (plain, streamed, v2)]
        staying = [asyncio.ensure_future(kind(client)) for kind in (plain, streamed, v2)]
        await asyncio.to_thread(eventually, lambda: platform.row(MODEL)["held"] == 6, "all six wait")
        for task in leaving:
            task.cancel()
        await asyncio.to_thread(eventually, lambda: platform.row(MODEL)["held"] == 3, "three have left")
        assert all(await asyncio.gather(*staying))
    assert all(task.cancelled() for task in leaving)
    assert starts(platform) == before + 1


async def test_an_idle_model_sleeps_again_and_its_processes_are_gone(
    platform: Platform, client: httpx.AsyncClient
) -> None:
    async with client:
        answer = await client.post("/v1/chat/completions", json=chat())
        row = platform.row(MODEL)
        family = [row["pid"], *descendants(row["pid"])]
        states = await watch(client, until_asleep(platform))
    assert answer.status_code == 200
    assert states[0] == "ready"
    assert set(states) <= {"ready", "asleep"}
    assert len(family) > 1
    eventually(lambda: not any(map(alive, family)), "the processes of the model are gone")


async def test_looking_at_a_sleeping_model_does_not_wake_it(platform: Platform, client: httpx.AsyncClient) -> None:
    before = starts(platform)
    async with client:
        for path in ("/v1/models", f"/v1/models/{MODEL}", f"/v2/models/{MODEL}/ready", "/v2/repository/index"):
            answer = await client.get(path)
            assert answer.status_code == 200, answer.text
            assert MODEL in json.dumps(answer.json())
        assert (await client.get(f"{platform.predictor_url(MODEL)}/metrics")).status_code == 503
    assert platform.model(MODEL)["state"] == "asleep"
    assert starts(platform) == before
