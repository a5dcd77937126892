"""What ONNX Runtime 1.31 says of a graph that it could not run, and what its client is told."""

import pytest

from predictors.vision.triton.backends.onnxruntime.onnx_errors import why

_INSIDE = (
    "Non-zero status code returned while running Add node. Name:'p2o.Add.248' Status Message: "
    "/onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:583 void onnxruntime::BroadcastIterator::"
    "Append(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. 13 by 14\n"
)
_TOLD = "its operator Add cannot compute with these; images often need sides that are multiples of 32"
_DIMENSIONS = "Got invalid dimensions for input: x for the following indices\n index: 1 Got: 4 Expected: 3\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"[ONNXRuntimeError] : 1 : FAIL : {_INSIDE}", _TOLD),
        (f"Error in execution: {_INSIDE}", _TOLD),
        (
            f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : {_DIMENSIONS}",
            "Got invalid dimensions for input: x for the following indices index: 1 Got: 4 Expected: 3",
        ),
        ("the graph does not keep the batch dimension", "the graph does not keep the batch dimension"),
    ],
)
def test_a_client_is_told_what_it_can_change(said: str, told: str) -> None:
    assert why(said) == told
