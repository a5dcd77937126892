"""A service that failed works again once the cause is gone: clients ask the real gateway, and nobody helps but them.

Each cause goes through: the service fails, it still fails, the cause is gone, the next request that is not rejected at
once gets a response.
"""

import asyncio
import json
import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.switchyard.local.conftest import Local, until
from tests.switchyard.local.overlays import Stub

AGAIN_SECONDS = 2.0  # from the first request after the end of the cause to the one that is served


@dataclass(kw_only=True)
class Cause:
    """What keeps a service from starting: a ``fault`` in its folder, or no folder if that is empty.

    ``reason`` is a part of the reason, ``starts`` how many there are until the service has failed.
    """

    reason: str
    starts: int
    fault: dict[str, Any] = field(default_factory=dict)
    stub: dict[str, Any] = field(default_factory=dict)

    def begin(self, folder: Path) -> None:
        if self.fault:
            (folder / "fault").write_text(json.dumps(self.fault))
        else:
            folder.rmdir()

    def end(self, folder: Path) -> None:
        if self.fault:
            (folder / "fault").unlink()
        else:
            folder.mkdir()


def raised(exception: str) -> dict[str, Any]:
    trace = f'Traceback (most recent call last):\n  File "engine.py", line 1, in start\n    load()\n{exception}'
    return {"say": f"{trace}\n/lib/python/resource_tracker.py:9: UserWarning: leaked", "exit": 1}


CRASH: dict[str, Any] = {"say": "no engine: out of memory", "exit": 3}

CAUSES = {
    "its folder is missing": Cause(reason="does not exist; put the model there", starts=1),
    "it crashes": Cause(fault=CRASH, reason="exited with code 3: no engine: out of memory, 3 times in a row", starts=3),
    "its flags are wrong": Cause(
        fault={"say": "argument --dtype: invalid choice: 'foo'", "exit": 2},
        reason="exited with code 2: argument --dtype: invalid choice: 'foo'",
        starts=1,
    ),
    "its weights do not fit": Cause(
        fault=raised("ValueError: the weights are not those of config.json"),
        reason="exited with code 1: ValueError: the weights are not those of config.json",
        starts=1,
    ),
    "memory is short": Cause(
        fault=raised("ValueError: No available memory for the cache blocks"),
        reason="ValueError: No available memory for the cache blocks, 3 times in a row",
        starts=3,
    ),
    "a port is taken": Cause(
        fault={"say": "--http_port 80 cannot be bound: Address already in use", "exit": 1},
        reason="Address already in use, 3 times in a row",
        starts=3,
    ),
    "it is killed": Cause(fault={"signal": signal.SIGKILL}, reason="was ended by signal 9, 3 times in a row", starts=3),
    "it is never ready": Cause(fault={"hang": True}, reason="not ready within", starts=1, stub={"deadline": "500ms"}),
    "a container beside it crashes": Cause(fault=CRASH, reason="exited with code 3", starts=3, stub={"runtime": "two"}),
}


class Asking:
    """Asks one model through the gateway; each rejection must say when to come back: in a second at most."""

    def __init__(self, client: httpx.AsyncClient, gateway: str) -> None:
        self._client = client
        self._url = f"{gateway}/v1/chat/completions"

    async def ask(self, **fields: Any) -> httpx.Response:
        response = await self._client.post(self._url, json={"model": "chat", "messages": [], **fields})
        if response.status_code == 503:
            assert response.headers["retry-after"] == "1"
        return response

    async def fails(self, reason: str, **fields: Any) -> None:
        response = await self.ask(**fields)
        assert response.status_code == 503
        assert reason in response.json()["error"]["message"]

    async def works_again(self) -> None:
        """Asks again after each rejection; how long the start itself takes is the model's own matter."""
        now = asyncio.get_running_loop().time
        first = sent = now()
        while (response := await self.ask()).status_code == 503:
            await asyncio.sleep(0.1)
            sent = now()
        assert response.status_code == 200
        assert sent - first < AGAIN_SECONDS


@pytest.mark.parametrize("name", CAUSES)
async def test_a_sleeping_service_works_again_once_the_cause_is_gone(
    local: Local, client: httpx.AsyncClient, name: str
) -> None:
    cause = CAUSES[name]
    run = local.up(Stub(name="chat", **cause.stub), real_gateway=True)
    folder = local.root / "model-repository" / "stubs" / "stub"
    cause.begin(folder)
    asking = Asking(client, run.gateway)
    await asking.fails(cause.reason)
    assert (local.phase("chat"), local.row("chat")["starts"]) == ("failed", cause.starts)
    assert cause.reason in (await client.get(f"{run.gateway}/v1/models/chat")).json()["reason"]
    assert cause.reason in local.row("chat")["reason"]  # what `switchyard status` prints
    await asking.fails(cause.reason, stream=True)  # a response with a status, not a stream that ends in an error
    await asyncio.sleep(1)
    await asking.fails(cause.reason.partition(",")[0])
    assert local.row("chat")["starts"] > cause.starts  # it was tried once more, for that request
    cause.end(folder)
    await asking.works_again()
    assert local.phase("chat") == "ready"


async def test_a_request_ends_the_long_pause_of_a_service_that_is_always_on(
    local: Local, client: httpx.AsyncClient
) -> None:
    cause = CAUSES["it crashes"]
    folder = local.root / "model-repository" / "stubs" / "stub"
    folder.mkdir(parents=True)
    cause.begin(folder)
    run = local.up(Stub(name="chat", min_replicas=1), real_gateway=True)
    # After five failures in a row the next pause is 4 s at least.
    await until(lambda: local.row("chat")["starts"] == 5 and local.phase("chat") == "failed", "it failed five times")
    cause.end(folder)
    await Asking(client, run.gateway).works_again()


async def test_what_only_another_up_can_change_is_rejected_by_the_gateway(
    local: Local, client: httpx.AsyncClient
) -> None:
    run = local.up(Stub(name="chat", storage="hf://org/model"), real_gateway=True)
    response = await client.post(f"{run.gateway}/v1/chat/completions", json={"model": "chat", "messages": []})
    assert (response.status_code, response.headers["x-should-retry"]) == (503, "false")
    assert "hf download org/model --local-dir model-repository/hub/org/model`" in response.json()["error"]["message"]
