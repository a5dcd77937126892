"""Models that are loaded and unloaded by V2's repository extension, over HTTP and gRPC."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import httpx
import pytest

from switchyard.local.processes import identities
from switchyard.rpc import v2
from tests.switchyard.local.conftest import until
from tests.switchyard.local.overlays import Stub
from tests.switchyard.local.supervisor.running import Run, running


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    async with running(tmp_path) as made:
        yield made


async def ask(
    client: httpx.AsyncClient, run: Run, what: str, name: str = "chat", body: object = None
) -> httpx.Response:
    url = f"{run.models()[name].url}/v2/repository/models/{name}/{what}"
    return await client.post(url, content=b"" if body is None else json.dumps(body).encode())


def state(run: Run, name: str = "chat") -> str:
    return run.board.entries[name].state


async def test_a_load_wakes_a_model_and_ends_when_it_is_ready(run: Run, client: httpx.AsyncClient) -> None:
    await run.services.add(run.planned(Stub(name="chat")))

    response = await ask(client, run, "load")

    assert (response.status_code, response.content) == (200, b"")
    assert state(run) == "ready"
    assert (await ask(client, run, "load")).status_code == 200  # which changes nothing
    assert run.board.entries["chat"].starts == 1


async def test_a_load_of_what_cannot_be_loaded_says_why_and_is_tried_again_by_the_next(
    run: Run, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    await run.services.add(run.planned(Stub(name="chat")))
    fault = tmp_path / "stubs/stub/fault"
    fault.write_text('{"say": "no weights in model.safetensors", "exit": 2}')

    response = await ask(client, run, "load")
    assert response.status_code == 503
    assert "no weights in model.safetensors" in response.json()["error"]
    assert state(run) == "failed"

    fault.unlink()
    assert (await ask(client, run, "load")).status_code == 200


async def test_a_load_that_waits_when_the_run_is_stopped_says_so_at_once(run: Run, client: httpx.AsyncClient) -> None:
    await run.services.add(run.planned(Stub(name="chat", env={"STUB_LOAD_SECONDS": "60"})))
    load = asyncio.ensure_future(ask(client, run, "load"))
    await until(lambda: state(run) == "waking", "it starts")

    run.services.reject_waiting()

    for response in (await asyncio.wait_for(load, 30), await ask(client, run, "load")):
        assert (response.status_code, response.json()["code"]) == (503, "shutting_down")
        assert response.headers["retry-after"] == "1"


async def test_an_unload_finishes_what_is_in_flight_and_the_next_request_wakes_the_model(
    run: Run, client: httpx.AsyncClient
) -> None:
    await run.services.add(run.planned(Stub(name="chat", env={"STUB_STOP_SECONDS": "3"})))
    url = run.models()["chat"].url + "/echo"
    pid = (await client.post(url, json={})).json()["pid"]
    slow = asyncio.ensure_future(client.post(url, json={"wait": 0.3}))
    await until(lambda: run.services.queues["chat"].in_flight == 1, "a request is in flight")

    # Triton's clients always send this parameter.
    response = await ask(client, run, "unload", body={"parameters": {"unload_dependents": False}})

    assert (response.status_code, response.content) == (200, b"")
    assert (await slow).status_code == 200
    assert identities.identify(pid) is None
    await until(lambda: state(run) == "asleep", "it sleeps")
    assert (await ask(client, run, "unload")).status_code == 200  # it sleeps already
    assert (await client.post(url, json={})).json()["pid"] != pid


async def test_an_unload_ends_a_start_and_tells_those_who_wait_for_it(run: Run, client: httpx.AsyncClient) -> None:
    await run.services.add(run.planned(Stub(name="chat", deadline="600s", env={"STUB_LOAD_SECONDS": "600"})))
    url = run.models()["chat"].url + "/echo"
    waits = asyncio.ensure_future(client.post(url, json={}))
    await until(lambda: run.board.entries["chat"].pid > 0, "a process is starting")
    loads = asyncio.ensure_future(ask(client, run, "load"))
    await until(lambda: bool(run.services._hosted["chat"].replica._loads._waiting), "a load waits, too")
    pid = run.board.entries["chat"].pid

    assert (await ask(client, run, "unload")).status_code == 200

    assert identities.identify(pid) is None
    for response in (await waits, await loads):
        assert response.status_code == 503
        assert "was unloaded while it was being started" in response.text
    await until(lambda: state(run) == "asleep", "it sleeps")
    assert run.board.entries["chat"].starts == 1
    again = asyncio.ensure_future(client.post(url, json={}))
    await until(lambda: run.board.entries["chat"].pid not in (0, pid), "the next request starts it again")
    assert (await ask(client, run, "unload")).status_code == 200
    assert (await again).status_code == 503


async def test_a_pinned_model_is_not_unloaded(run: Run, client: httpx.AsyncClient) -> None:
    await run.services.add(run.planned(Stub(name="chat", min_replicas=1)))
    await until(lambda: state(run) == "ready", "it runs")

    response = await ask(client, run, "unload")

    assert response.status_code == 409
    assert "is to stay loaded" in response.json()["error"]
    assert state(run) == "ready"


async def test_a_load_takes_no_parameters_and_a_step_of_graphs_takes_none_of_this(
    run: Run, client: httpx.AsyncClient
) -> None:
    await run.services.add(run.planned(Stub(name="chat")))
    response = await ask(client, run, "load", body={"parameters": {"config": "{}"}})

    assert response.status_code == 400
    assert "leave the parameters out" in response.json()["error"]
    assert state(run) == "asleep"


async def test_grpc_calls_load_and_unload_as_requests_do(run: Run) -> None:
    await run.services.add(run.planned(Stub(name="chat", grpc=True)))
    target = urlsplit(run.models()["chat"].url).netloc
    async with grpc.aio.insecure_channel(target) as channel:
        load, unload = (channel.unary_unary(v2.path(f"RepositoryModel{verb}")) for verb in ("Load", "Unload"))

        assert await load(b"") == b""
        assert state(run) == "ready"
        assert await unload(b"") == b""
        await until(lambda: state(run) == "asleep", "it sleeps")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await load(b"\x1a\x02\x0a\x00")  # an entry of its map of parameters
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
