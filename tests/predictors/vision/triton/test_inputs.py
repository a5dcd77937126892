"""A request with inputs that a model does not take is told what it takes, and what came."""

import json

import pytest

from predictors.vision.rpc.inference_request import inputs_of
from predictors.vision.triton.inputs import Given, explained, of_json
from predictors.vision.triton.model_config import parse_config
from switchyard.rpc.protobuf import write

CONFIG = parse_config(
    {
        "name": "digits",
        "max_batch_size": 32,
        "input": [
            {"name": "x", "data_type": "TYPE_FP32", "dims": ["64"]},
            {"name": "mask", "data_type": "TYPE_BOOL", "dims": ["1"], "optional": True},
        ],
        "output": [],
    }
)
TAKEN = "model 'digits' takes 'x' FP32 [-1, 64], 'mask' BOOL [-1, 1] (optional)"
X, MASK = Given("x", "FP32", (2, 64)), Given("mask", "BOOL", (2, 1))

# What came, what Triton 2.51 says of it, and how what came is listed.
WRONG = {
    "name": ([Given("y", "FP32", (2, 64))], "unexpected inference input 'y' for model 'digits'", "'y' FP32 [2, 64]"),
    "type": (
        [Given("x", "FP64", (2, 64))],
        "inference input 'x' data-type is 'FP64', but model 'digits' expects 'FP32'",
        "'x' FP64 [2, 64]",
    ),
    "shape": (
        [Given("x", "FP32", (2, 65))],
        "unexpected shape for input 'x' for model 'digits'. Expected [-1,64], got [2,65]",
        "'x' FP32 [2, 65]",
    ),
    "rank": ([Given("x", "FP32", (64,))], "input 'x' batch size does not match", "'x' FP32 [64]"),
    "missing": ([MASK], "expected 1 inputs but got 0 inputs for model 'digits'", "'mask' BOOL [2, 1]"),
    "twice": ([X, X], "input 'x' already exists in request", "'x' FP32 [2, 64], 'x' FP32 [2, 64]"),
    "many": (
        [Given(f"x{number}", "FP32", (1,)) for number in range(10)],
        "expected 1 inputs but got 10",
        ", ".join(f"'x{number}' FP32 [1]" for number in range(8)) + ", 2 more",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_the_model_takes_and_what_came_is_said(case: str) -> None:
    given, said, listed = WRONG[case]
    told = f"{said}; {TAKEN}, and the request has {listed}"
    assert explained(said, CONFIG, given) == told
    # Advice for whoever wrote the configuration is none for clients.
    assert explained(f"{said}. NOTE: Setting a non-zero max_batch_size", CONFIG, given) == told


@pytest.mark.parametrize("given", [[X], [MASK, X], []])
def test_of_inputs_that_are_right_or_unknown_only_what_triton_says_is_told(given: list[Given]) -> None:
    assert explained("inference request batch-size must be <= 32", CONFIG, given).endswith("<= 32")


def test_both_protocols_describe_the_same() -> None:
    rows = [{"name": one.name, "datatype": one.datatype, "shape": list(one.shape)} for one in (X, MASK)]
    assert of_json(json.dumps({"inputs": rows}).encode()) == [X, MASK]
    tensors = [
        write(5, write(1, one.name) + write(2, one.datatype) + b"".join(write(3, size) for size in one.shape))
        for one in (X, MASK)
    ]
    message = write(1, "digits") + b"".join(tensors) + write(7, bytes(10_000))
    assert inputs_of(message) == inputs_of(message[:4096]) == [X, MASK]


@pytest.mark.parametrize("data", [b"", b"[]", b'{"inputs": 1}', b'{"inputs": [{"name": "x"}]}', b" " * 2_000_000])
def test_json_that_describes_no_tensors_or_is_long_tells_nothing(data: bytes) -> None:
    assert of_json(data) == []
