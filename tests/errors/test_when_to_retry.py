"""One table: reason by protocol. Whether and when to retry is said alike over HTTP and gRPC, by whoever says it.

OpenAI's and Anthropic's clients go by ``retry-after`` and ``x-should-retry``, gRPC's libraries by the pushback of gRFC
A6, people who call Google's clients by ``google.rpc.RetryInfo``.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import grpc.aio
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from switchyard.catalog import State
from switchyard.rpc import v2
from switchyard.rpc.protobuf import write
from tests.errors import origins, rpc_origins
from tests.switchyard.gateway.conftest import Bench, gateway

INFER = v2.path("ModelInfer")
TENSORS = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}]}


class Retry(NamedTuple):
    """What a response says of retries: after how many seconds, 0 if it does not say; or that none helps."""

    seconds: int = 0
    never: bool = False


class Call(NamedTuple):
    """An error over gRPC."""

    code: grpc.StatusCode
    retry: Retry
    request_id: str


async def over_http(url: str, model: str) -> Retry:
    async with httpx.AsyncClient(base_url=url) as client:
        headers = (await client.post(f"/v2/models/{model}/infer", json=TENSORS)).headers
    return Retry(int(headers.get("retry-after", 0)), headers.get("x-should-retry") == "false")


async def over_grpc(target: str, model: str) -> Call:
    async with grpc.aio.insecure_channel(target) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(INFER)(write(v2.MODEL_NAME, model), timeout=30)
    trailers = dict(caught.value.trailing_metadata() or ())
    pushback = int(trailers.get("grpc-retry-pushback-ms", 0))
    seconds = max(0, pushback) // 1000
    details, info = status_pb2.Status(), error_details_pb2.RetryInfo()
    details.ParseFromString(trailers.get("grpc-status-details-bin", b""))
    assert [detail.Unpack(info) for detail in details.details] == [True] * bool(seconds)
    assert info.retry_delay.seconds == seconds
    everything = {**dict(caught.value.initial_metadata() or ()), **trailers}
    return Call(caught.value.code(), Retry(seconds, pushback < 0), str(everything.get("x-request-id", "")))


@asynccontextmanager
async def of_gateway(folder: Path, **settings: Any) -> AsyncIterator[Bench]:
    async with gateway(folder, retry_seconds=0.1, **settings) as bench:
        yield bench


def failed(bench: Bench, *, retryable: bool) -> None:
    bench.put("broken", state=State(phase="failed", reason="its weights are gone", retryable=retryable))


# settings of the gateway, the model that is asked, what happens to it, what is said
GATEWAY: dict[str, tuple[dict[str, Any], str, Callable[[Bench], None], Retry]] = {
    "full": ({"max_in_flight": 0}, "chat", lambda _: None, Retry(1)),
    "failed for good": ({}, "broken", lambda bench: failed(bench, retryable=False), Retry(never=True)),
    "unreachable": ({}, "nobody", lambda bench: bench.put("nobody", grpc="127.0.0.1:1"), Retry(1)),
    "not checked yet": ({}, "chat", lambda bench: bench.put("chat", state=State(phase="pending")), Retry(1)),
    "unknown": ({}, "nope", lambda _: None, Retry()),
}


@pytest.mark.parametrize("reason", GATEWAY)
async def test_the_gateway_says_the_same_in_both_protocols(reason: str, tmp_path: Path) -> None:
    settings, model, happens, expected = GATEWAY[reason]
    async with of_gateway(tmp_path, **settings) as bench:
        happens(bench)
        assert await over_http(bench.url, model) == expected
        call = await over_grpc(bench.url.removeprefix("http://"), model)
    assert call.retry == expected
    assert call.request_id


# the process, its model, the error, what is said
BEHIND: dict[str, tuple[str, str, str, Retry]] = {
    "activator full": ("activator", "chat", "overloaded", Retry(1)),
    "activator failed": ("activator", "chat", "failed", Retry(3)),
    "activator stopping": ("activator", "chat", "stopping", Retry(1)),
    "vision full": ("vision", "vision-ready", "overloaded", Retry(1)),
    "Triton away": ("vision", "vision-ready", "unreachable", Retry(1)),
    "vision unknown": ("vision", "nope", "", Retry()),
}
RPC: dict[str, Callable[[str], Any]] = {"activator": rpc_origins.of_activator, "vision": rpc_origins.of_vision}


@pytest.mark.parametrize("reason", BEHIND)
async def test_whoever_is_behind_it_says_the_same_and_the_gateway_passes_it_on(reason: str, tmp_path: Path) -> None:
    origin, model, error, expected = BEHIND[reason]
    async with origins.ORIGINS[origin](error, tmp_path) as url:
        assert await over_http(url, model) == expected
    async with RPC[origin](error) as target, of_gateway(tmp_path) as bench:
        assert (await over_grpc(target, model)).retry == expected
        bench.put("chat", grpc=target)
        through = await over_grpc(bench.url.removeprefix("http://"), "chat")
    assert model != "chat" or through.retry == expected
    assert through.request_id


async def test_an_error_of_triton_that_passes_says_so_too() -> None:
    async with rpc_origins.of_vision("Triton full") as target:
        call = await over_grpc(target, "vision-ready")
    assert (call.code, call.retry) == (grpc.StatusCode.UNAVAILABLE, Retry(1))


POLICY = """{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 2, "initialBackoff": "0.01s",
  "maxBackoff": "0.01s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}"""


@pytest.mark.parametrize(
    ("model", "label", "attempts"),
    [("chat", "chat", 2), ("broken", "unknown", 1)],
    ids=["in a second", "only a person helps"],
)
async def test_a_library_that_repeats_calls_by_itself_does_as_it_is_told(
    model: str, label: str, attempts: int, tmp_path: Path
) -> None:
    """With KServe's client's policy, of two attempts: an error in two frames would end its call with the first."""
    async with of_gateway(tmp_path) as bench, rpc_origins.of_activator("stopping") as target:
        bench.put("chat", grpc=target)
        failed(bench, retryable=False)
        options = (("grpc.enable_retries", 1), ("grpc.service_config", POLICY))
        async with grpc.aio.insecure_channel(bench.url.removeprefix("http://"), options=options) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(INFER)(write(v2.MODEL_NAME, model), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        labels = f'code="UNAVAILABLE",model="{label}",outcome="failed",route="grpc ModelInfer"'
        line = f"gateway_requests_total{{{labels}}} {attempts}.0"
        assert await bench.metric(line), (await bench.http.get("/metrics")).text
