"""What one client sends or gets is never seen by another: no request changes a value that modules share."""

import asyncio
import copy
import sys
from collections import deque
from pathlib import Path
from typing import Any

from tests.switchyard.gateway.conftest import Bench, Call, completion, gateway
from tests.switchyard.gateway.test_transports import ASK
from tests.switchyard.gateway.test_v2 import rpc_gateway

ROUNDS = 5


def shared() -> dict[str, Any]:
    """Copies of the lists, dicts and sets of our modules, and of those that functions have as defaults."""
    found = {}
    for module in [one for name, one in sys.modules.items() if name.partition(".")[0] == "switchyard"]:
        for name, value in vars(module).items():
            if name.startswith("__"):
                continue
            if isinstance(value, (list, dict, set, deque)):
                found[f"{module.__name__}.{name}"] = copy.copy(value)
            for default in getattr(value, "__defaults__", None) or ():
                if isinstance(default, (list, dict, set)):
                    found[f"{module.__name__}.{name}()"] = copy.copy(default)
    return found


async def ask(bench: Bench, client: str, round_: int) -> None:
    """Sends one request of each kind with ids of its own, and checks that each response has that id alone."""
    bodies: list[tuple[str, dict[str, Any]]] = [
        (model, {"stream": stream})
        for model in ("sleepy", "chat", "broken", "nope", "embed")
        for stream in (True, False)
    ]
    for number, (model, fields) in enumerate(bodies):
        identifier = f"{client}-{round_}-{number}"
        response = await bench.http.post(
            "/v1/chat/completions",
            json={"model": model, "messages": [], **fields},
            headers={"x-request-id": identifier},
        )
        assert response.headers.get_list("x-request-id") == [identifier]


async def test_two_clients_never_see_each_others_ids(tmp_path: Path) -> None:
    async def slowly(call: Call) -> None:
        await asyncio.sleep(0.01)  # long enough for comments of a stream that waits
        await completion(call)

    async with gateway(tmp_path, slowly, heartbeat_seconds=0.002) as bench:
        await asyncio.gather(ask(bench, "a", 0), ask(bench, "b", 0))
        before = shared()
        assert any(name.startswith("switchyard.http.api_errors.") for name in before)
        for number in range(1, ROUNDS):
            await asyncio.gather(ask(bench, "a", number), ask(bench, "b", number))
        assert shared() == before
        sent = [dict(call.headers)[b"x-request-id"] for call in bench.model.calls]
        assert len(set(sent)) == len(sent)
        for call in bench.model.calls:
            assert [name for name, _ in call.scope["headers"]].count(b"x-request-id") == 1


async def test_nor_do_clients_of_v2(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path) as rpc:
        models = ("ocr", "nope", "broken", "nobody", "sleepy")
        for _ in range(2):
            before = shared()
            for transport in ASK:
                for model in models:
                    assert (await ASK[transport](rpc, model)).request_id == "mine"
        assert shared() == before


def test_such_a_change_would_be_seen() -> None:
    before = shared()
    from switchyard.http import api_errors

    api_errors.CODES["leaked"] = 1
    try:
        assert shared() != before
    finally:
        del api_errors.CODES["leaked"]
