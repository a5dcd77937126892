"""One request is one trace: the predictor's spans and Triton's own, as a collector sees them."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.live.collector import PARENT, Collector, collecting
from tests.live.processes import eventually, fetch
from tests.live.vision.asking import echo, picture, send
from tests.live.vision.processes import Triton, Vision

pytestmark = pytest.mark.live


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


@pytest.fixture
def traced(triton: Triton, folder: Path, collector: Collector) -> Iterator[Vision]:
    """Triton and the predictor with spans switched on."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    own = Triton(triton.repository, folder, TRITON_TRACE_LEVEL="TIMESTAMPS", **env)
    vision = Vision(own, folder, **env)
    yield vision.wait_ready()
    vision.stop()
    own.stop()


@pytest.mark.parametrize("asked", ["tensors", "a picture"])
def test_predictor_and_triton_join_the_callers_trace(traced: Vision, collector: Collector, asked: str) -> None:
    if asked == "tensors":
        tensor = {"name": "x", "datatype": "FP32", "shape": [1], "data": [1]}
        status, body = fetch(f"{traced.url}/v2/models/echo/infer", {"inputs": [tensor]}, traceparent=PARENT)
    else:
        status, body = send(traced, "/v1/vision/colours", picture("red"), "image/png", traceparent=PARENT)
    assert status == 200, body

    def chain() -> list[Span]:
        found = [collector.of_caller(name) for name in ("predictor", "triton", "InferRequest")]
        return [spans[0] for spans in found] if all(found) else []

    predictor, way, triton = eventually(chain, f"three spans; there are {[span.name for span in collector.spans]}", 30)
    assert predictor.parent_span_id.hex() == PARENT.split("-")[2]
    assert way.parent_span_id == predictor.span_id
    assert triton.parent_span_id == way.span_id


def test_a_call_that_passes_as_frames_joins_the_callers_trace(traced: Vision, collector: Collector) -> None:
    assert echo(traced, 1)[0] == 200  # from here on it is loaded, and calls need no service
    tensor = tritonclient.grpc.InferInput("x", [1], "FP32")
    tensor.set_data_from_numpy(np.ones(1, np.float32))
    with closing(tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{traced.grpc}")) as client:
        client.infer("echo", [tensor], headers={"traceparent": PARENT})

    def chain() -> list[Span]:
        found = [collector.of_caller(name) for name in ("predictor", "InferRequest")]
        return [spans[0] for spans in found] if all(found) else []

    predictor, triton = eventually(chain, f"two spans; there are {[span.name for span in collector.spans]}", 30)
    assert predictor.parent_span_id.hex() == PARENT.split("-")[2]
    assert triton.parent_span_id == predictor.span_id


def test_where_no_collector_is_named_triton_records_nothing(vision: Vision, triton: Triton) -> None:
    assert b'"trace_level":["OFF"]' in fetch(f"http://127.0.0.1:{triton.http}/v2/trace/setting")[1]
    assert vision.status("/v2/trace/setting") == 404
