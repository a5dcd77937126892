"""Services that come and go while a run lasts, with stub predictors as their processes."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from switchyard.local.processes import identities
from tests.switchyard.local.conftest import until
from tests.switchyard.local.overlays import Stub
from tests.switchyard.local.supervisor.running import Run, running


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    async with running(tmp_path) as made:
        yield made


async def test_a_service_that_is_added_is_listed_and_wakes_when_asked(run: Run, client: httpx.AsyncClient) -> None:
    await run.services.add(run.planned(Stub(name="first")))
    await run.services.add(run.planned(Stub(name="second")))

    assert run.models().keys() == {"first", "second"}
    response = await client.post(run.models()["second"].url + "/echo", json={"word": "hello"})
    assert (response.status_code, response.json()["body"]) == (200, {"word": "hello"})
    assert run.models()["first"].state.phase == "asleep"


async def test_one_that_is_removed_finishes_what_is_in_flight_and_the_others_serve_on(
    run: Run, client: httpx.AsyncClient
) -> None:
    await run.services.add(run.planned(Stub(name="stays")))
    await run.services.add(run.planned(Stub(name="goes", env={"STUB_STOP_SECONDS": "3"})))
    stays, goes = (run.models()[name].url + "/echo" for name in ("stays", "goes"))
    before = (await client.post(stays, json={})).json()["pid"]
    gone = (await client.post(goes, json={})).json()["pid"]
    slow = asyncio.ensure_future(client.post(goes, json={"wait": 0.5}))
    await until(lambda: run.services.queues["goes"].in_flight == 1, "a request is in flight")

    removal = asyncio.ensure_future(run.services.remove("goes"))
    await until(lambda: run.models().keys() == {"stays"}, "it is not listed")
    late = await client.post(goes, json={})
    await removal

    assert (await slow).status_code == 200
    assert late.status_code == 404
    assert "goes was removed from this machine" in late.json()["error"]["message"]
    assert identities.identify(gone) is None
    assert (await client.post(stays, json={})).json()["pid"] == before
    assert 'model="goes"' not in run.metrics()
    assert not [host for host in run.hosts if host.startswith("goes")]


async def test_a_port_that_was_given_back_takes_no_connections_and_names_the_removal_on_those_that_are_open(
    run: Run, client: httpx.AsyncClient
) -> None:
    await run.services.add(run.planned(Stub(name="goes")))
    url = run.models()["goes"].url + "/echo"
    assert (await client.post(url, json={})).status_code == 200
    await run.services.remove("goes")

    assert (await client.post(url, json={})).status_code == 404  # on the connection of the request before
    async with httpx.AsyncClient(trust_env=False) as other:
        with pytest.raises(httpx.ConnectError):
            await other.post(url, json={})


async def test_the_name_of_one_that_was_removed_can_be_taken_again(run: Run, client: httpx.AsyncClient) -> None:
    await run.services.add(run.planned(Stub(name="chat")))
    first = (await client.post(run.models()["chat"].url + "/echo", json={})).json()["pid"]
    await run.services.remove("chat")
    await run.services.add(run.planned(Stub(name="chat")))

    assert (await client.post(run.models()["chat"].url + "/echo", json={})).json()["pid"] != first
