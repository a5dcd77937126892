"""What ONNX Runtime 1.31 says of a graph that it could not run, and what its client is told."""

import pytest

from predictors.vision.triton.backends.onnxruntime.onnx_errors import rejection

_INSIDE = (
    "Non-zero status code returned while running Add node. Name:'p2o.Add.248' Status Message: "
    "/onnxruntime_src/onnxruntime/core/providers/cpu/math/element_wise_ops.h:583 void onnxruntime::BroadcastIterator::"
    "Append(ptrdiff_t, ptrdiff_t) axis == 1 || axis == largest was false. 13 by 14\n"
)
_SHAPES = "ONNX Runtime rejected inputs of the shapes"
_OF_PICTURES = "its operator Add cannot compute with these; images often need sides that are multiples of 32"
_DIMENSIONS = "Got invalid dimensions for input: x for the following indices\n index: 1 Got: 4 Expected: 3\n"
_PICTURE = (1, 3, 200, 640)


def failed(operator: str, said: str) -> str:
    return f"[ONNXRuntimeError] : 1 : FAIL : Non-zero status code returned while running {operator} node. {said}"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (f"[ONNXRuntimeError] : 1 : FAIL : {_INSIDE}", _OF_PICTURES),
        (f"Error in execution: {_INSIDE}", _OF_PICTURES),
        (
            f"[ONNXRuntimeError] : 2 : INVALID_ARGUMENT : {_DIMENSIONS}",
            "Got invalid dimensions for input: x for the following indices index: 1 Got: 4 Expected: 3",
        ),
        (
            failed("MatMul", "matmul_helper.h:59 MatMul dimension mismatch"),
            "its operator MatMul cannot compute with these",
        ),
        ("the graph does not keep the batch dimension", "the graph does not keep the batch dimension"),
    ],
)
def test_a_client_is_told_what_it_can_change(said: str, told: str) -> None:
    assert rejection(said, {"x": _PICTURE}) == f"{_SHAPES} x [1, 3, 200, 640]: {told}"


def test_of_a_table_nothing_is_said_of_images() -> None:
    told = rejection(_INSIDE, {"age": (1, 1), "city": (1, 1)})
    assert told == f"{_SHAPES} age [1, 1], city [1, 1]: its operator Add cannot compute with these"


@pytest.mark.parametrize(
    ("operator", "said", "why"),
    [
        ("OneHotEncoder", "Unknown Category and zeros = 0.", "does not know the category"),
        ("Gather", "indices element out of data bounds, idx=5 must be within [-1,0]", "has no such index"),
        ("ArrayFeatureExtractor", "Invalid Y argument: index is out of range: Y[0] (9)", "has no such index"),
        ("Cast", "Name:'' Status Message: stod", "reads a number from text"),
    ],
)
def test_a_value_is_called_one(operator: str, said: str, why: str) -> None:
    told = rejection(failed(operator, said), {"age": (1, 1), "city": (1, 1)})
    assert told.startswith(f"ONNX Runtime rejected a value of age, city: its operator {operator} {why}")
    assert "shapes" not in told
