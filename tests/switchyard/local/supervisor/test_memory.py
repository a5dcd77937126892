"""Models share the memory of this machine: idle ones make room, and what cannot fit says why."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from switchyard.repository.status import ModelStatus
from switchyard.repository.verdict import Facts, Memory
from tests.switchyard.local.conftest import until
from tests.switchyard.local.overlays import Stub
from tests.switchyard.local.supervisor.running import Run, running

CAPACITY = 100


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    async with running(tmp_path, CAPACITY) as made:
        yield made


async def add(run: Run, stub: Stub, needed: int) -> str:
    """Adds a service whose model needs so much; returns its URL for requests."""
    await run.services.add(run.planned(stub))
    needs(run, stub.name, needed)
    return run.models()[stub.name].url + "/echo"


def needs(run: Run, name: str, needed: int) -> None:
    facts = Facts(format="huggingface", kind="llm", bytes=1, memory=Memory(weights=needed))
    run.board.follow(name, ModelStatus(group="llm", name=name, phase="published", digest="one", facts=facts))


def states(run: Run) -> dict[str, str]:
    return {name: entry.state for name, entry in run.board.entries.items()}


async def test_the_model_that_was_used_longest_ago_sleeps_for_one_that_is_asked(
    run: Run, client: httpx.AsyncClient
) -> None:
    urls = [await add(run, Stub(name=name), 40) for name in ("first", "second", "third")]
    for url in urls:
        assert (await client.post(url, json={})).status_code == 200

    await until(lambda: states(run)["first"] == "asleep", "the first has made room")
    assert states(run) == {"first": "asleep", "second": "ready", "third": "ready"}
    assert run.board.entries["second"].starts == 1


async def test_a_pinned_model_and_one_with_requests_make_no_room(run: Run, client: httpx.AsyncClient) -> None:
    pinned = await add(run, Stub(name="pinned", annotations={"switchyard.dev/pinned": "true"}), 30)
    used = await add(run, Stub(name="used", env={"STUB_STOP_SECONDS": "1"}), 30)
    third = await add(run, Stub(name="third"), 60)
    assert (await client.post(pinned, json={})).status_code == 200
    slow = asyncio.ensure_future(client.post(used, json={"wait": 3}))
    await until(lambda: run.services.queues["used"].in_flight == 1, "a request is in flight")

    asked = asyncio.ensure_future(client.post(third, json={}))
    await until(lambda: "used (0 MiB) have requests" in run.board.entries["third"].reason, "it says for whom it waits")

    assert (await slow).status_code == 200
    assert (await asked).status_code == 200
    assert states(run)["pinned"] == "ready"


async def test_who_waits_for_memory_is_told_at_once_when_the_run_stops(
    run: Run, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    used, other = await add(run, Stub(name="used"), 60), await add(run, Stub(name="other"), 60)
    go_on = tmp_path / "go on"
    served = asyncio.ensure_future(client.post(used, json={"until": str(go_on)}))
    await until(lambda: run.services.queues["used"].in_flight == 1, "a request is in flight")
    asked = asyncio.ensure_future(client.post(other, json={}))
    await until(lambda: "used (0 MiB) have requests" in run.board.entries["other"].reason, "it waits for memory")

    run.services.reject_waiting()

    response = await asked
    assert (response.status_code, response.json()["error"]["code"]) == (503, "shutting_down")
    assert not served.done()
    go_on.touch()
    assert (await served).status_code == 200


async def test_a_model_that_cannot_fit_is_rejected_with_the_sum(run: Run, client: httpx.AsyncClient) -> None:
    url = await add(run, Stub(name="huge"), CAPACITY + 1)
    other = await add(run, Stub(name="other"), 10)
    assert (await client.post(other, json={})).status_code == 200

    response = await client.post(url, json={})

    assert response.status_code == 503
    assert "models may take 0 MiB here" in response.json()["error"]["message"]
    assert states(run) == {"huge": "failed", "other": "ready"}


async def test_a_model_is_not_tried_out_at_the_cost_of_another(run: Run, client: httpx.AsyncClient) -> None:
    url = await add(run, Stub(name="first"), 60)
    await add(run, Stub(name="second"), 60)
    assert (await client.post(url, json={})).status_code == 200
    run.services.try_out("second")
    needs(run, "second", 40)
    run.services.try_out("second")

    await until(lambda: states(run)["second"] == "ready", "now it fits")
    assert run.board.entries["second"].starts == 1
    assert states(run)["first"] == "ready"


async def test_memory_is_given_back_by_a_process_that_dies(run: Run, client: httpx.AsyncClient) -> None:
    url = await add(run, Stub(name="first"), 80)
    for _ in range(2):
        assert (await client.post(url.replace("/echo", "/crash"), json={})).status_code in (502, 503)
    second = await add(run, Stub(name="second"), 80)
    assert (await client.post(second, json={})).status_code == 200
