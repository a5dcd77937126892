"""One table of cases over both transports: V2 over HTTP and over gRPC pass the same stages."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest
from tritonclient.grpc import service_pb2

from switchyard.http.h2 import frames
from tests.switchyard.gateway.conftest import Call
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway

REQUEST = {"inputs": [{"name": "in", "datatype": "INT32", "shape": [1], "data": [1]}]}


@dataclass
class Outcome:
    """What a caller of either transport sees; ``code`` is HTTP's status or gRPC's status by name."""

    code: int | str
    sentence: str
    request_id: str


async def over_http(rpc: GrpcBench, model: str, identifier: str = "") -> Outcome:
    headers = {"x-request-id": "mine"}
    response = await rpc.bench.http.post(f"/v2/models/{model}/infer", json=REQUEST, headers=headers)
    body = response.json()
    return Outcome(response.status_code, body.get("error", ""), response.headers["x-request-id"])


async def over_grpc(rpc: GrpcBench, model: str, identifier: str = "") -> Outcome:
    call = rpc.stub.ModelInfer(
        service_pb2.ModelInferRequest(model_name=model, id=identifier), metadata=(("x-request-id", "mine"),)
    )
    try:
        await call
    except grpc.aio.AioRpcError as err:
        told = {**dict(err.initial_metadata()), **dict(err.trailing_metadata())}
        return Outcome(err.code().name, err.details() or "", str(told["x-request-id"]))
    return Outcome("OK", "", str(dict(await call.initial_metadata())["x-request-id"]))


ASK: dict[str, Callable[..., Awaitable[Outcome]]] = {"http": over_http, "grpc": over_grpc}
LABELS = {"http": "/v2/models/{model}/infer", "grpc": "grpc ModelInfer"}

# model, status over HTTP, status over gRPC, part of the sentence, label in metrics
CASES = {
    "served": ("ocr", 200, "OK", "", "ocr"),
    "unknown": ("nope", 404, "NOT_FOUND", "does not exist", "unknown"),
    "failed": ("broken", 503, "UNAVAILABLE", "its weights are missing", "unknown"),
    "unreachable": ("nobody", 503, "UNAVAILABLE", "cannot be reached", "nobody"),
}


@pytest.mark.parametrize("transport", ASK)
@pytest.mark.parametrize("case", CASES)
async def test_both_transports_get_the_same_response_and_the_same_count(
    tmp_path: Path, case: str, transport: str
) -> None:
    model, status, name, sentence, label = CASES[case]
    async with rpc_gateway(tmp_path, infer_tensor, retry_seconds=0.2) as rpc:
        rpc.bench.put("nobody", grpc="127.0.0.1:1")
        outcome = await ASK[transport](rpc, model)
        assert outcome.code == (status if transport == "http" else name)
        assert sentence in outcome.sentence
        assert outcome.request_id == "mine"
        code = status if transport == "http" else name
        became = "ok" if status < 400 else "rejected" if status < 500 else "failed"
        labels = f'code="{code}",model="{label}",outcome="{became}",route="{LABELS[transport]}"'
        await counted(rpc, f"gateway_requests_total{{{labels}}} 1.0")
        await counted(rpc, "gateway_requests_in_flight 0.0")


async def infer_tensor(call: Call) -> None:
    await call.answer({"model_name": "ocr", "outputs": []})


async def counted(rpc: GrpcBench, line: str) -> None:
    async with asyncio.timeout(5):
        while not await rpc.bench.metric(line):
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("transport", ASK)
@pytest.mark.parametrize("holder", ASK)
async def test_one_limit_counts_calls_of_both_transports(tmp_path: Path, holder: str, transport: str) -> None:
    arrived, release = asyncio.Event(), asyncio.Event()

    async def hold(call: Call) -> None:
        arrived.set()
        await release.wait()
        await call.answer({"outputs": []})

    async with rpc_gateway(tmp_path, hold, max_in_flight=1) as rpc:
        held = asyncio.ensure_future(ASK[holder](rpc, "ocr", "hang"))
        await asyncio.wait_for((arrived if holder == "http" else rpc.model.arrived).wait(), 5)
        assert await rpc.bench.metric("gateway_requests_in_flight 1.0")
        outcome = await ASK[transport](rpc, "ocr")
        assert outcome.code in (503, "UNAVAILABLE")
        assert "has 1 requests in flight; try again" in outcome.sentence
        release.set()
        held.cancel()
        await asyncio.wait([held])
        await counted(rpc, "gateway_requests_in_flight 0.0")
        assert (await ASK[transport](rpc, "ocr")).code in (200, "OK")


@pytest.mark.parametrize("transport", ASK)
async def test_a_body_over_the_limit_is_rejected_on_both(tmp_path: Path, transport: str) -> None:
    async with rpc_gateway(tmp_path, infer_tensor) as rpc:
        if transport == "http":
            response = await rpc.bench.http.post("/v2/models/ocr/infer", content=b"x" * (1 << 21))
            assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
        else:
            message = service_pb2.ModelInferRequest(model_name="ocr", raw_input_contents=[b"x" * (1 << 21)])
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await rpc.stub.ModelInfer(message)
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        await counted(rpc, "gateway_requests_in_flight 0.0")


@pytest.mark.parametrize("size", [0, 5, 4095, 4096, 4097, 500_000])
async def test_the_name_is_read_from_the_beginning_of_a_message_of_any_size(tmp_path: Path, size: int) -> None:
    async with rpc_gateway(tmp_path) as rpc:
        message = service_pb2.ModelInferRequest(model_name="ocr", raw_input_contents=[b"x" * size])
        assert (await rpc.stub.ModelInfer(message)).model_name == "ocr"


@pytest.mark.parametrize("size", [0, 4096, 500_000])
async def test_a_message_that_names_another_model_at_its_end_is_rejected(tmp_path: Path, size: int) -> None:
    async with rpc_gateway(tmp_path) as rpc, grpc.aio.insecure_channel(rpc.target) as channel:
        message = service_pb2.ModelInferRequest(model_name="ocr", raw_input_contents=[b"x" * size])
        other = service_pb2.ModelInferRequest(model_name="chat")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
                message.SerializeToString() + other.SerializeToString()
            )
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "occurs twice" in (caught.value.details() or "")
        await counted(rpc, "gateway_requests_in_flight 0.0")


@pytest.mark.parametrize("transport", ASK)
async def test_a_caller_that_disconnects_is_counted_as_cancelled_on_both(tmp_path: Path, transport: str) -> None:
    arrived, left = asyncio.Event(), asyncio.Event()

    async def hold(call: Call) -> None:
        arrived.set()
        await call.disconnected()
        left.set()

    async with rpc_gateway(tmp_path, hold) as rpc:
        held = asyncio.ensure_future(ASK[transport](rpc, "ocr", "hang"))
        await asyncio.wait_for((arrived if transport == "http" else rpc.model.arrived).wait(), 5)
        held.cancel()
        await asyncio.wait_for((left if transport == "http" else rpc.model.cancelled).wait(), 5)
        await counted(rpc, 'gateway_cancelled_total{model="ocr"} 1.0')
        code = 499 if transport == "http" else "CANCELLED"
        labels = f'code="{code}",model="ocr",outcome="cancelled",route="{LABELS[transport]}"'
        await counted(rpc, f"gateway_requests_total{{{labels}}} 1.0")
        await asyncio.wait([held])


@pytest.mark.parametrize("transport", ASK)
async def test_a_model_that_moves_while_it_cannot_be_reached_is_found_on_both(tmp_path: Path, transport: str) -> None:
    async with rpc_gateway(tmp_path, infer_tensor, retry_seconds=3.0) as rpc:
        served = rpc.bench.catalog.current().models["ocr"]
        rpc.bench.put("ocr", url="http://127.0.0.1:1", grpc="127.0.0.1:1")
        asked = asyncio.ensure_future(ASK[transport](rpc, "ocr"))
        await counted(rpc, 'gateway_upstream_retries_total{model="ocr"} 1.0')
        rpc.bench.put("ocr", url=served.url, grpc=served.grpc)
        assert (await asked).code in (200, "OK")


@pytest.mark.parametrize("transport", ASK)
async def test_readiness_is_asked_of_a_server_that_moves_with_the_callers_id_on_both(
    tmp_path: Path, transport: str
) -> None:
    async def ready(rpc: GrpcBench) -> bool:
        if transport == "grpc":
            request = service_pb2.ModelReadyRequest(name="ocr")
            return bool((await rpc.stub.ModelReady(request, metadata=(("x-request-id", "mine"),))).ready)
        return (await rpc.bench.http.get("/v2/models/ocr/ready", headers={"x-request-id": "mine"})).status_code == 200

    async with rpc_gateway(tmp_path, infer_tensor, retry_seconds=3.0) as rpc:
        served = rpc.bench.catalog.current().models["ocr"]
        rpc.bench.put("ocr", url="http://127.0.0.1:1", grpc="127.0.0.1:1")
        asked = asyncio.ensure_future(ready(rpc))
        await counted(rpc, 'gateway_upstream_retries_total{model="ocr"} 1.0')
        rpc.bench.put("ocr", url=served.url, grpc=served.grpc)
        assert await asked
        if transport == "grpc":
            assert rpc.model.metadata[-1]["x-request-id"] == "mine"
        else:
            assert rpc.bench.model.calls[-1].headers[b"x-request-id"] == b"mine"


@pytest.mark.parametrize("transport", ASK)
async def test_a_request_that_ends_its_model_is_repeated_once_on_both(tmp_path: Path, transport: str) -> None:
    tries = 0

    async def die(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal tries
        tries += 1
        writer.write(b"" if transport == "http" else frames.settings({}))
        await reader.readuntil(b"\r\n\r\n" if transport == "http" else b"ocr")
        writer.close()

    async with rpc_gateway(tmp_path) as rpc, await asyncio.start_server(die, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        rpc.bench.put("ocr", url=f"http://127.0.0.1:{port}", grpc=f"127.0.0.1:{port}")
        outcome = await ASK[transport](rpc, "ocr")
    assert (outcome.code, tries) == (502 if transport == "http" else "UNAVAILABLE", 2)
    assert "closed the connection" in outcome.sentence


@pytest.mark.parametrize("transport", ASK)
async def test_the_gateways_own_endpoints_respond_when_it_is_full(tmp_path: Path, transport: str) -> None:
    async with rpc_gateway(tmp_path, max_in_flight=0) as rpc:
        assert (await ASK[transport](rpc, "ocr")).code in (503, "UNAVAILABLE")
        if transport == "http":
            assert (await rpc.bench.http.get("/v2/models/sleepy/ready")).status_code == 200
        else:
            ready = await rpc.stub.ModelReady(service_pb2.ModelReadyRequest(name="sleepy"))
            assert ready.ready


async def test_methods_that_are_not_served_are_unimplemented_and_one_label(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path) as rpc, grpc.aio.insecure_channel(rpc.target) as channel:
        for path in ("/inference.GRPCInferenceService/Nonsense", "/a.B/C"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channel.unary_unary(path)(b"")
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        labels = 'code="UNIMPLEMENTED",model="unknown",outcome="rejected",route="grpc unknown"'
        await counted(rpc, f"gateway_requests_total{{{labels}}} 2.0")


async def test_http_1_http_2_and_grpc_share_one_port(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path, infer_tensor) as rpc:
        url = f"{rpc.bench.url}/v2/models/ocr/infer"
        async with httpx.AsyncClient(http1=False, http2=True) as two:
            response = await two.post(url, json=REQUEST)
        assert (response.status_code, response.http_version) == (200, "HTTP/2")
        assert (await over_http(rpc, "ocr")).code == 200
        assert (await over_grpc(rpc, "ocr")).code == "OK"
