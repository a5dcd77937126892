"""Which calls go straight to Triton and which to the service, asked by gRPC's own client on a real port."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
import pytest
from prometheus_client import CollectorRegistry

from predictors.vision.admission import Admission
from predictors.vision.rpc.fast_path import BYTES_TENSOR, INFER, FastPath
from predictors.vision.triton.control import Control
from predictors.vision.triton.loading.loaded_models import LoadedModels
from switchyard.http.h2 import frames
from switchyard.http.h2.grpc_call import forward_to
from switchyard.http.h2.grpc_call.messages import framed
from switchyard.rpc.protobuf import write
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import DisabledTracer
from tests.switchyard.http.h2.grpc_call.world import CALL, DEADLINE, Target, World, failure, happens, target, world
from tests.switchyard.http.h2.raw import Talk


class Repository:
    """Has ``tensors`` and ``asleep``; both can be loaded."""

    def content(self, model: str) -> str:
        return ""

    def memory(self, model: str) -> int:
        return 0

    async def index(self) -> dict[str, bool]:
        return {"tensors": False, "asleep": False}

    async def config(self, model: str) -> Mapping[str, Any]:
        return {"name": model}

    async def control(self, method: Control, request: bytes) -> None:
        return


@dataclass
class Setup:
    world: World
    triton: Target
    service: Target
    registry: CollectorRegistry
    live: bool = True

    async def ask(self, message: bytes, **options: Any) -> bytes:
        return await self.world.ask(INFER, message, **options)

    def counted(self, outcome: str) -> float:
        labels = {"model": "tensors", "protocol": "grpc-v2", "outcome": outcome}
        return self.registry.get_sample_value("inference_requests_total", labels) or 0.0

    def in_flight(self) -> float:
        return self.registry.get_sample_value("inference_requests_in_flight", {"model": "tensors"}) or 0.0


@asynccontextmanager
async def setup(limit: int = 8) -> AsyncIterator[Setup]:
    registry = CollectorRegistry()
    metrics = InferenceMetrics(registry)
    models = LoadedModels(Repository(), metrics, idle_seconds=0, wait_seconds=5, max_waiting=5)
    admission = Admission(models, limit=limit, metrics=metrics, tracer=DisabledTracer())
    async with target("triton") as triton, target("service") as service:
        path = FastPath(
            models,
            admission,
            live=lambda: made.live,
            message_bytes=100_000,
            triton=triton.address,
            service=forward_to(service.address),
        )
        async with models.use("tensors"), world(path) as at:
            made = Setup(at, triton, service, registry)
            yield made


def request(model: str, *rest: bytes) -> bytes:
    return write(1, model) + b"".join(rest)


async def test_an_inference_on_tensors_of_a_loaded_model_goes_straight_to_triton_and_is_counted() -> None:
    async with setup() as at:
        assert await at.ask(request("tensors", write(7, bytes(50_000)))) == b"triton"
        assert (at.counted("ok"), at.in_flight()) == (1, 0)
        assert at.service.answering.seen == []


async def test_a_call_that_asks_gets_what_it_used_in_its_trailers() -> None:
    async with setup() as at:
        batch = write(5, write(1, "x") + write(3, b"\x04\x03"))
        asked = at.world.channel.unary_unary(INFER)(
            request("tensors", batch), timeout=DEADLINE, metadata=(("x-switchyard-usage", "1"),)
        )
        assert await asked == b"triton"
        assert dict(await asked.trailing_metadata()) == {"x-switchyard-usage": '{"inferences":1}'}
        assert at.service.answering.seen == []


async def test_who_sends_other_inputs_than_the_model_takes_is_told_both() -> None:
    tensor = write(5, write(1, "y") + write(2, "FP32") + write(3, 4))
    async with setup() as at:
        asked = at.ask(request("tensors", tensor, write(7, bytes(16))), metadata=(("what", "Reject"),))
        err = await failure(asked)
        assert (err.code(), err.details()) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            "unexpected inference input 'y'; model 'tensors' takes no inputs, and the request has 'y' FP32 [4]",
        )
        assert (at.in_flight(), at.counted("rejected")) == (0, 1)
        assert at.service.answering.seen == []


@pytest.mark.parametrize("usage", [True, False])
async def test_a_triton_that_is_full_says_when_to_try_again(usage: bool) -> None:
    metadata = (("what", "full"), *([("x-switchyard-usage", "1")] if usage else []))
    async with setup() as at:
        error = await failure(at.ask(request("tensors"), metadata=metadata))
        assert at.service.answering.seen == []
    told = dict(error.trailing_metadata() or ())
    assert (error.code(), error.details()) == (grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")
    assert (told["grpc-retry-pushback-ms"], told["retry-after"]) == ("1000", "1")
    assert ("x-switchyard-usage" in told) == usage


@pytest.mark.parametrize(
    "message",
    [
        request("asleep"),
        request("nobody"),
        b"\xff",
        request("tensors", write(7, bytes(100_001))),
        b"",
        request("tensors", write(2, "1")),
    ],
    ids=["not loaded", "unknown", "no message", "too large", "empty", "a version"],
)
async def test_all_other_calls_go_to_the_service(message: bytes) -> None:
    async with setup() as at:
        assert await at.ask(message) == b"service"
        assert at.triton.answering.seen == []


async def test_a_message_that_names_two_models_is_left_to_the_service_which_reads_all_of_it() -> None:
    async with setup() as at:
        assert await at.ask(request("tensors", write(1, "asleep"))) == b"service"


@pytest.mark.parametrize("tail", [write(1, "asleep"), write(5, write(3, b"\x01"))], ids=["model", "input"])
async def test_a_message_whose_end_names_a_model_or_input_is_rejected_before_triton_has_all_of_it(tail: bytes) -> None:
    message = framed(request("tensors", write(7, bytes(50_000)), tail))
    fields = [*(field for field in CALL if field[0] != b":path"), (b"x-fast", b"1")]
    async with setup() as at:
        talk = await Talk.to(at.world.port, fields, path=INFER.encode(), ends=False)
        talk.sends(1, message[:10_000], ends=False)
        await happens(lambda: at.in_flight() == 1)
        talk.sends(1, message[10_000:])
        assert b"\x013" in await talk.hears(frames.HEADERS)  # grpc-status: INVALID_ARGUMENT
        assert (at.in_flight(), at.counted("rejected")) == (0, 1)
        await talk.disconnects()


async def test_inputs_that_follow_the_values_or_announce_too_much_are_left_to_the_service() -> None:
    huge = write(5, write(3, b"\xff" * 8 + b"\x7f"))
    async with setup() as at:
        assert await at.ask(request("tensors", huge)) == b"service"
        assert await at.ask(request("tensors", write(5, write(5, bytes(5000))), huge)) == b"service"


async def test_a_compressed_message_goes_to_the_service() -> None:
    async with setup() as at:
        assert await at.ask(request("tensors", bytes(0)) * 50, compression=grpc.Compression.Gzip) == b"service"


async def test_while_triton_is_away_the_service_says_so() -> None:
    async with setup() as at:
        at.live = False
        assert await at.ask(request("tensors")) == b"service"


async def test_a_call_beyond_the_limit_goes_to_the_service() -> None:
    async with setup(limit=1) as at:
        asked = asyncio.ensure_future(at.world.ask(INFER, request("tensors"), metadata=(("what", "hang"),)))
        await happens(lambda: at.in_flight() == 1)
        assert await at.ask(request("tensors")) == b"service"
        at.triton.answering.go_on.set()
        await asked
        assert (at.counted("ok"), at.in_flight()) == (1, 0)


async def test_an_image_goes_to_the_service_only_where_the_model_takes_images(monkeypatch: pytest.MonkeyPatch) -> None:
    async with setup() as at:
        image = request("tensors", write(5, b"\n\x05image" + BYTES_TENSOR))
        assert await at.ask(image) == b"service"
        assert await at.ask(request("tensors")) == b"triton"
        monkeypatch.setattr("predictors.vision.rpc.fast_path.takes_images", lambda config: False)
        assert await at.ask(image) == b"triton"


async def test_triton_gets_no_credentials_and_the_predictors_trace_context() -> None:
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    sent = {"authorization": "Bearer secret", "cookie": "a=b", "x-api-key": "k", "x-switchyard-tenant": "t"}
    kept = {"traceparent": trace, "triton-request-id": "7"}
    async with setup() as at:
        for _ in range(2):  # the second time from what was remembered
            await at.ask(request("tensors"), metadata=(*sent.items(), *kept.items()))
            _, metadata = at.triton.answering.seen[-1]
            assert {name: metadata.get(name) for name in kept} == kept
            assert not sent.keys() & metadata.keys()


async def test_a_client_that_cancels_its_call_is_counted_as_cancelled() -> None:
    async with setup() as at:
        call = at.world.channel.unary_unary(INFER)(request("tensors"), timeout=DEADLINE, metadata=(("what", "hang"),))
        asked = asyncio.ensure_future(call.code())
        await happens(lambda: at.in_flight() == 1)
        call.cancel()
        assert await asked == grpc.StatusCode.CANCELLED
        await happens(lambda: at.counted("cancelled") == 1)
        assert at.in_flight() == 0


async def test_tritons_own_error_comes_back_and_is_counted() -> None:
    async with setup() as at:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await at.ask(request("tensors"), metadata=(("what", "fail"),))
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such thing: 100 % sure")
        assert (at.counted("rejected"), at.in_flight()) == (1, 0)


async def test_a_triton_that_is_gone_is_unavailable() -> None:
    async with setup() as at:
        await at.triton.stop()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await at.ask(request("tensors"))
        assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        assert (at.counted("failed"), at.in_flight()) == (1, 0)
