"""Broken protobuf, gRPC and HTTP/2 before Triton: each call ends with a clear status, and Triton lives on."""

import random

import numpy as np
import pytest

from tests.grpc_api.calls import Model, changed, odd, valid
from tests.grpc_api.client import ask, problems
from tests.live.processes import descendants
from tests.live.vision.asking import echo
from tests.live.vision.processes import Triton, Vision

pytestmark = pytest.mark.live

MODELS = (
    Model(name="echo", tensor="x", datatype="FP32", shape=[4], raw=np.ones(4, np.float32).tobytes(), repository=True),
    Model(name="stream", tensor="text_input", datatype="BYTES", shape=[1], raw=b"\5\0\0\0a b c"),
    Model(name="any-size", tensor="pixels", datatype="FP32", shape=[1, 3, 2, 2], raw=bytes(48)),
)
CHANGED = 100
AT_ONCE = 2  # of the four that the predictor takes: those that a client gave up may end later


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
@pytest.mark.parametrize("by", ["predictor", "gateway"])
def test_calls_that_break_the_rules_end_with_a_clear_status_and_end_nothing_else(
    triton: Triton, vision: Vision, gateway: int, by: str, model: Model
) -> None:
    assert vision.status(f"/v2/models/{model.name}/config") == 200
    port = vision.http if by == "predictor" else gateway
    assert problems(ask(port, [*valid(model), *odd(model)], at_once=AT_ONCE)) == []
    calls = changed(random.Random(f"{by} {model.name}"), model, CHANGED)
    assert problems(ask(port, calls, at_once=AT_ONCE)) == []
    assert triton.process.poll() is None
    assert descendants(triton.process.pid)
    assert echo(vision, 1)[0] == 200
