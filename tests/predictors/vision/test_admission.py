"""What is counted and how much is let in at once."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from predictors.vision.admission import Admission
from predictors.vision.triton.control import Control
from predictors.vision.triton.loading.loaded_models import LoadedModels
from switchyard.http.api_errors import ApiError
from switchyard.http.request_errors import ClientDisconnectedError
from switchyard.telemetry.metrics.predictors import InferenceMetrics
from switchyard.telemetry.tracing import DisabledTracer
from tests.recorded_spans import PARENT, UNSAMPLED


class Server:
    """Has the model ``m``."""

    def content(self, model: str) -> str:
        return ""

    def memory(self, model: str) -> int:
        return 0

    async def index(self) -> dict[str, bool]:
        return {"m": False}

    async def config(self, model: str) -> Mapping[str, Any]:
        return {"name": model}

    async def control(self, method: Control, request: bytes) -> None:
        return


class Setup:
    def __init__(self, limit: int = 1) -> None:
        self.registry = CollectorRegistry()
        loaded_models = LoadedModels(
            Server(), InferenceMetrics(CollectorRegistry()), idle_seconds=0, wait_seconds=5, max_waiting=5
        )
        self.calls = Admission(
            loaded_models, limit=limit, metrics=InferenceMetrics(self.registry), tracer=DisabledTracer()
        )

    def counted(self, model: str, outcome: str) -> float:
        labels = {"model": model, "protocol": "v2", "outcome": outcome}
        return self.registry.get_sample_value("inference_requests_total", labels) or 0.0

    def in_flight(self) -> float:
        return self.registry.get_sample_value("inference_requests_in_flight", {"model": "m"}) or 0.0


@pytest.mark.parametrize(("status", "outcome"), [(200, "ok"), (400, "rejected"), (500, "failed"), (0, "cancelled")])
async def test_a_call_is_counted_by_the_status_that_was_sent(status: int, outcome: str) -> None:
    setup = Setup()
    async with setup.calls.admit("m", "v2", None) as call:
        assert setup.in_flight() == 1
        call.status = status
    assert (setup.counted("m", outcome), setup.in_flight()) == (1, 0)


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ApiError("body_too_large", "too large"), "rejected"),
        (ClientDisconnectedError(), "cancelled"),
        (ZeroDivisionError(), "failed"),
    ],
)
async def test_a_call_that_ends_early_is_counted_by_its_reason(error: Exception, outcome: str) -> None:
    setup = Setup()
    with pytest.raises(type(error)):
        async with setup.calls.admit("m", "v2", None):
            raise error
    assert (setup.counted("m", outcome), setup.in_flight()) == (1, 0)


async def test_names_that_nobody_serves_share_one_label() -> None:
    setup = Setup()
    for name in ("x", "y"):
        with pytest.raises(ApiError, match="no model"):
            async with setup.calls.admit(name, "v2", None):
                pass
    assert setup.counted("unknown", "rejected") == 2


async def test_what_is_too_much_is_rejected_and_the_place_free_again_afterwards() -> None:
    setup = Setup(limit=1)
    async with setup.calls.admit("m", "v2", None) as call:
        call.status = 200
        with pytest.raises(ApiError, match="1 requests are in flight"):
            async with setup.calls.admit("m", "v2", None):
                pass
    async with asyncio.timeout(5), setup.calls.admit("m", "v2", None) as call:
        call.status = 200
    assert setup.counted("m", "ok") == 2


@pytest.mark.parametrize(("given", "sent"), [(PARENT, PARENT), (UNSAMPLED, None), ("00-a-b-01", None), (None, None)])
async def test_a_clients_trace_goes_on_to_triton_if_it_is_recorded(given: str | None, sent: str | None) -> None:
    setup = Setup()
    async with setup.calls.admit("m", "v2", given) as call:
        call.status = 200
        with setup.calls.to_triton(call.traceparent) as context:
            assert context == sent
