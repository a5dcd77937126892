"""What metrics and spans say of calls over gRPC: what became of them, and when their responses began."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.samples import Sample
from tritonclient.grpc import service_pb2

from switchyard.gateway.upstream.message_watch import MessageWatch
from switchyard.http.h2.grpc_call.messages import framed
from tests.exposition import samples
from tests.recorded_spans import KeptSpans
from tests.switchyard.gateway.test_outcomes import of, outcomes
from tests.switchyard.gateway.test_v2 import GrpcBench, rpc_gateway

TICK = 0.001  # seconds, of the event loop's clock
UNARY, STREAM = "grpc ModelInfer", "grpc ModelStreamInfer"


def request(model: str, name: str = "") -> Any:
    return service_pb2.ModelInferRequest(model_name=model, id=name)


async def stream(rpc: GrpcBench, *asked: Any) -> list[str]:
    """The error of each response, empty for none."""
    return [response.error_message async for response in rpc.stub.ModelStreamInfer(iter(asked), timeout=10)]


async def scraped(rpc: GrpcBench) -> list[Sample]:
    return samples((await rpc.bench.http.get("/metrics")).text)


async def test_a_stream_with_an_error_in_a_message_has_failed_though_its_status_is_ok(tmp_path: Path) -> None:
    kept = KeptSpans()
    async with rpc_gateway(tmp_path, tracer=kept.tracer) as rpc:
        assert await stream(rpc, request("ocr"), request("ocr", "error"), request("ocr")) == ["", "it failed", ""]
        assert outcomes(await scraped(rpc), "gateway_requests_total") == {"failed": 1.0}
        assert await stream(rpc, request("ocr")) == [""]
        assert outcomes(await scraped(rpc), "gateway_requests_total") == {"failed": 1.0, "ok": 1.0}
    ended = [one.span.attributes or {} for one in kept.ended]
    assert [one["switchyard.outcome"] for one in ended] == ["failed", "ok"]
    assert [one.get("error.type") for one in ended] == ["model_error", None]
    assert {one["rpc.response.status_code"] for one in ended} == {"OK"}


async def test_the_first_byte_of_a_response_is_timed_and_errors_have_none(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path) as rpc:
        await stream(rpc, request("chat", "error"))
        assert not of(await scraped(rpc), "gateway_first_byte_seconds_count")
        for model in ("chat", "ocr"):
            await rpc.stub.ModelInfer(request(model))
            await stream(rpc, request(model), request(model))
        found = await scraped(rpc)
        timed = {(one.labels["model"], one.labels["route"]) for one in of(found, "gateway_first_byte_seconds_count")}
        assert timed == {(model, route) for model in ("chat", "ocr") for route in (UNARY, STREAM)}
        # What is no text has no tokens, and what is no stream comes when all of them are there.
        (tokens,) = of(found, "gateway_first_token_seconds_count")
        assert (tokens.labels, tokens.value) == ({"model": "chat"}, 1)


async def test_a_stream_that_is_open_before_it_asks_is_timed_from_its_first_message(tmp_path: Path) -> None:
    async with rpc_gateway(tmp_path) as rpc:
        call, clock = rpc.stub.ModelStreamInfer(timeout=10), asyncio.get_running_loop().time
        await rpc.stub.ModelInfer(request("ocr"))  # on the same connection: by then the gateway has the stream
        opened = clock()
        while clock() - opened < 0.05:
            await rpc.stub.ModelInfer(request("ocr"))
        asked = clock()
        await call.write(request("chat"))
        await call.read()
        took = clock() - asked
        await call.done_writing()
        await call.read()
        found = [one for one in await scraped(rpc) if one.labels == {"model": "chat"}]
        assert [one.value for one in found if one.name == "gateway_first_token_seconds_count"] == [1]
        (first,) = [one.value for one in found if one.name == "gateway_first_token_seconds_sum"]
        assert first <= took + TICK


RESPONSES = [
    service_pb2.ModelStreamInferResponse(infer_response=service_pb2.ModelInferResponse(id="x" * size))
    for size in (1, 300, 70_000)
]
ERROR = service_pb2.ModelStreamInferResponse(error_message="it failed")


class Broken:
    broken = False


@pytest.mark.parametrize("step", [1, 3, 5, 6, 7, 1000, 1 << 20])
@pytest.mark.parametrize("at", range(len(RESPONSES) + 2))
def test_an_error_is_seen_wherever_it_stands_and_however_bytes_come(at: int, step: int) -> None:
    messages = [one.SerializeToString() for one in [*RESPONSES[:at], ERROR, *RESPONSES[at:]]]
    if at > len(RESPONSES):
        messages = [b"", *(one.SerializeToString() for one in RESPONSES), b""]
    sent = b"".join(framed(one) for one in messages)
    call: Any = Broken()
    began = list[None]()
    watch = MessageWatch(call, lambda: began.append(None), streams=True)
    for start in range(0, len(sent), step):
        watch(sent[start : start + step])
    assert call.broken is (at <= len(RESPONSES))
    assert len(began) == 1
