"""A stop while requests wait for a model that is starting: they are told at once, what runs goes on to its end."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest

from switchyard.rpc import v2
from switchyard.rpc.protobuf import write
from tests.switchyard.local.conftest import Local, until
from tests.switchyard.local.overlays import Stub

MESSAGES = [{"role": "user", "content": "x"}]
REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "openai": ("/v1/chat/completions", {"model": "sleeps", "messages": MESSAGES}),
    "anthropic": ("/v1/messages", {"model": "sleeps", "messages": MESSAGES, "max_tokens": 1}),
    "v2": ("/v2/models/sleeps/infer", {"inputs": []}),
    "load": ("/v2/repository/models/sleeps/load", {}),
    "stream": ("/v1/chat/completions", {"model": "sleeps", "messages": MESSAGES, "stream": True}),
}
TOLD = "sleeps is not ready for this request, and switchyard is stopping; try again once it runs"


def error_of(protocol: str, response: httpx.Response) -> tuple[object, object]:
    """The code and the message of an error in the caller's protocol."""
    if protocol == "stream":
        (event,) = [line for line in response.text.splitlines() if line.startswith("data: {")]
        found = json.loads(event.removeprefix("data: "))["error"]
        return found["code"], found["message"]
    found = response.json()
    if protocol in ("v2", "load"):
        return found["code"], found["error"]
    error = found["error"]
    return error["details"]["error_code"] if protocol == "anthropic" else error["code"], error["message"]


async def test_who_waits_for_a_model_is_told_at_once_and_who_is_served_is_served_to_the_end(
    local: Local, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    sleeps = Stub(name="sleeps", env={"STUB_LOAD_SECONDS": "600"}, deadline="600s", timeout=600, grpc=True)
    run, go_on = local.up(Stub(name="runs"), sleeps, real_gateway=True), tmp_path / "go on"
    body = {"model": "runs", "messages": MESSAGES, "until": str(go_on)}
    served = asyncio.ensure_future(client.post(run.gateway + "/v1/chat/completions", json=body, timeout=300))
    await until(lambda: local.row("runs")["in_flight"] == 1, "a request is served")
    waiting = {
        protocol: asyncio.ensure_future(client.post(run.gateway + path, json=request, timeout=300))
        for protocol, (path, request) in REQUESTS.items()
    }
    async with grpc.aio.insecure_channel(run.gateway.removeprefix("http://")) as channel:
        infer = channel.unary_unary(v2.path("ModelInfer"))
        call = asyncio.ensure_future(_awaited(infer(write(v2.MODEL_NAME, "sleeps"))))
        await until(lambda: local.row("sleeps")["held"] == len(waiting), "all but the load are in the queue")

        assert local.process is not None
        local.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            responses = {protocol: await task for protocol, task in waiting.items()}
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await call

    assert not served.done()
    for protocol, response in responses.items():
        if protocol != "stream":  # whose headers went out with the first comment
            assert (response.status_code, response.headers["retry-after"]) == (503, "1"), protocol
        assert error_of(protocol, response) == ("shutting_down", TOLD), protocol
    assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
    assert failure.value.details() == TOLD
    go_on.touch()
    assert (await served).status_code == 200
    assert await asyncio.to_thread(local.stop, signal.SIGTERM) == 0


async def _awaited(call: Any) -> None:
    await call
