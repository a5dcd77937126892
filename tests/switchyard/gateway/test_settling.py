"""``call.settle`` is awaited before the last bytes of a response, however the response is sent."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from switchyard.gateway import app
from switchyard.gateway.call import Call as GatewayCall
from switchyard.gateway.pipeline import Proceed, Stage
from switchyard.gateway.stages import resolve as resolving
from tests.switchyard.gateway.conftest import Bench, Call, completion, gateway
from tests.switchyard.gateway.test_v2 import rpc_gateway


class Settling:
    """What ``settle`` does in place of a ledger: it says that it began, and waits until it may end."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self) -> None:
        self.begun.set()
        await self.go_on.wait()


@pytest.fixture
async def settling(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Settling]:
    """Every call to a model has this ``settle``."""
    settle, original = Settling(), resolving.resolve

    def resolve(**parts: Any) -> Stage:
        inner = original(**parts)

        def stage(call: GatewayCall, proceed: Proceed) -> Awaitable[None]:
            call.settle = settle
            return inner(call, proceed)

        return stage

    monkeypatch.setattr(app, "resolve", resolve)
    yield settle
    settle.go_on.set()


async def slowly(call: Call) -> None:
    """Respond with JSON that arrives in two reads."""
    await call.start()
    await call.chunk(b'{"half":')
    await asyncio.sleep(0.01)
    await call.end(b" 1}")


async def reject(call: Call) -> None:
    await call.answer({"error": {"message": "too long", "type": "invalid_request_error", "code": 400}}, 400)


async def fail(call: Call) -> None:
    await call.answer({"error": {"message": "no more memory", "type": "server_error", "code": 500}}, 500)


CHAT = {"model": "chat", "messages": []}
CASES: dict[str, tuple[Callable[[Call], Awaitable[None]], str, dict[str, Any]]] = {
    "whole": (completion, "/v1/chat/completions", CHAT),
    "in two reads": (slowly, "/v1/chat/completions", CHAT),
    "events": (completion, "/v1/chat/completions", {**CHAT, "stream": True}),
    "an error": (reject, "/v1/chat/completions", CHAT),
    "an error after heartbeats": (fail, "/v1/chat/completions", {**CHAT, "model": "sleepy", "stream": True}),
    "a short form": (completion, "/v1/llm/chat", {"model": "chat", "prompt": "hi"}),
    "a short form's events": (completion, "/v1/llm/chat", {"model": "chat", "prompt": "hi", "stream": True}),
}


async def post(bench: Bench, path: str, body: dict[str, Any], ends: list[str]) -> None:
    async with bench.http.stream("POST", path, json=body) as response:
        await response.aread()
    ends.append("seen")


@pytest.mark.parametrize("case", CASES)
async def test_a_client_sees_the_end_of_a_response_once_the_call_is_settled(
    tmp_path: Path, settling: Settling, case: str
) -> None:
    script, path, body = CASES[case]

    async def late(call: Call) -> None:
        if json.loads(call.body)["model"] == "sleepy":
            await asyncio.sleep(0.1)
        await script(call)

    ends: list[str] = []
    async with gateway(tmp_path, late, heartbeat_seconds=0.01) as bench:
        seen = asyncio.create_task(post(bench, path, body, ends))
        async with asyncio.timeout(5):
            await settling.begun.wait()
        assert ends == []
        ends.append("settled")
        settling.go_on.set()
        await seen
        assert ends == ["settled", "seen"]


async def test_a_grpc_client_sees_trailers_once_the_call_is_settled(tmp_path: Path, settling: Settling) -> None:
    async with rpc_gateway(tmp_path) as rpc:
        call = rpc.stub.ModelInfer(service_pb2.ModelInferRequest(model_name="ocr"), timeout=5)
        async with asyncio.timeout(5):
            await settling.begun.wait()
        assert not call.done()
        settling.go_on.set()
        assert (await call).model_name == "ocr"
