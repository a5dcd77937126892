"""What the gateway knows of a gRPC call's usage when the call is settled."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from switchyard.http.h2.grpc_call.messages import framed
from switchyard.http.usage import Usage
from switchyard.store.factory import open_ledger
from tests.switchyard.gateway.conftest import gateway, until
from tests.switchyard.gateway.tenants.access import KEYS, tenants
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway
from tests.switchyard.http.h2.grpc_call.test_forwarding import HEADERS, block, data, saying

SAID = json.dumps({"prompt_tokens": 3, "completion_tokens": 2})
USED = Usage(prompt_tokens=3, completion_tokens=2)


@pytest.fixture
async def rpc(tmp_path: Path, counted: list[Usage | None]) -> AsyncIterator[GrpcBench]:
    async with rpc_gateway(tmp_path) as rpc:
        yield rpc


def request(model: str, identifier: str = "") -> Any:
    return service_pb2.ModelInferRequest(model_name=model, id=identifier)


async def test_trailers_say_it_to_the_gateway_alone(rpc: GrpcBench, counted: list[Usage | None]) -> None:
    rpc.model.trailing = (("x-switchyard-usage", SAID), ("x-trailing", "1"))
    call = rpc.stub.ModelInfer(request("chat"), timeout=5)
    await call
    assert dict(await call.trailing_metadata()) == {"x-trailing": "1"}
    assert counted == [USED]
    assert rpc.model.metadata[0]["x-switchyard-usage"] == "1"


async def test_a_stream_says_it_once_for_all_its_messages(rpc: GrpcBench, counted: list[Usage | None]) -> None:
    rpc.model.trailing = (("x-switchyard-usage", SAID),)
    call = rpc.stub.ModelStreamInfer(iter([request("chat"), request("chat")]), timeout=5)
    assert len([message async for message in call]) == 2
    assert not dict(await call.trailing_metadata())
    assert counted == [USED]


@pytest.mark.parametrize("said", ["", "no JSON", "[]"])
async def test_what_is_no_usage_is_estimated_by_the_size_of_request_and_response(
    rpc: GrpcBench, counted: list[Usage | None], said: str
) -> None:
    rpc.model.trailing = (("x-switchyard-usage", said),)
    await rpc.stub.ModelInfer(request("chat", "x" * 400), timeout=5)
    (usage,) = counted
    assert usage is not None
    assert usage.estimated
    assert 100 <= usage.prompt_tokens < 110
    assert 100 <= usage.completion_tokens < 110


async def test_a_vision_model_that_says_nothing_made_one_inference(rpc: GrpcBench, counted: list[Usage | None]) -> None:
    await rpc.stub.ModelInfer(request("ocr"), timeout=5)
    assert counted == [Usage(inferences=1, estimated=True)]


async def test_an_error_has_no_usage(rpc: GrpcBench, counted: list[Usage | None]) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await rpc.stub.ModelInfer(request("ocr", "reject"), timeout=5)
    assert counted == [None]


async def test_a_stream_that_responds_and_then_fails_has_used_what_it_says(
    rpc: GrpcBench, counted: list[Usage | None]
) -> None:
    rpc.model.trailing = (("x-switchyard-usage", SAID),)
    call = rpc.stub.ModelStreamInfer(iter([request("chat"), request("chat", "reject")]), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError, match="no memory"):
        assert [message async for message in call] == []
    assert counted == [USED]


async def test_a_stream_that_fails_at_once_has_no_usage(rpc: GrpcBench, counted: list[Usage | None]) -> None:
    rpc.model.trailing = (("x-switchyard-usage", SAID),)
    call = rpc.stub.ModelStreamInfer(iter([request("chat", "reject")]), timeout=5)
    with pytest.raises(grpc.aio.AioRpcError, match="no memory"):
        assert [message async for message in call] == []
    assert counted == [None]


async def test_a_client_that_has_a_streams_messages_and_cancels_before_its_end_pays_for_them(
    rpc: GrpcBench, counted: list[Usage | None]
) -> None:
    call = rpc.stub.ModelStreamInfer(timeout=5)
    for _ in range(2):
        await call.write(request("chat"))
        await call.read()
    call.cancel()
    await until(lambda: bool(counted))
    (usage,) = counted
    assert usage is not None
    assert (usage.completion_tokens, usage.estimated) == (2, True)


async def test_a_client_that_cancels_before_a_response_has_used_nothing(
    rpc: GrpcBench, counted: list[Usage | None]
) -> None:
    call = rpc.stub.ModelInfer(request("ocr", "hang"), timeout=5)
    await rpc.model.arrived.wait()
    call.cancel()
    await until(lambda: bool(counted))
    assert counted == [None]


async def test_a_client_cannot_ask_for_it_and_sees_none_of_what_a_model_says_unasked(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path) as rpc:
        rpc.model.trailing = (("x-switchyard-usage", SAID),)
        call = rpc.stub.ModelInfer(request("chat"), timeout=5, metadata=(("x-switchyard-usage", "1"),))
        await call
        assert not dict(await call.trailing_metadata())
        assert "x-switchyard-usage" not in rpc.model.metadata[0]


async def test_a_target_that_is_lost_during_its_response_is_an_error_on_the_bill(tmp_path: Path) -> None:
    ledger = open_ledger(f"sqlite://{tmp_path}/ledger.db")
    async with (
        saying(block(HEADERS) + data(framed(b"")), close=True) as lost,
        gateway(tmp_path, tenants=await tenants(tmp_path), ledger=ledger) as bench,
        grpc.aio.insecure_channel(bench.url.removeprefix("http://")) as channel,
    ):
        bench.put("chat", grpc=lost)
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError, match="lost during its response"):
            await stub.ModelInfer(request("chat"), timeout=5, metadata=(("x-api-key", KEYS["acme"]),))
        rows = [json.loads(row) for _, row in await ledger.rows("acme", since=0, until=2**40)]
    await ledger.aclose()
    assert [(row["route"], row["outcome"]) for row in rows] == [("grpc ModelInfer", "error")]
