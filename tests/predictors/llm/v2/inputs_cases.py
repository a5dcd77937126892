"""The one input of a language model's V2 requests, and requests that contradict themselves."""

import json
import struct
from typing import Any

import pytest
from kserve import InferInput, InferRequest
from kserve.errors import InvalidInput
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelInferRequest

from predictors.llm.v2.inputs import check_tensors, read_texts


def request(*inputs: tuple[str, list[Any], Any]) -> InferRequest:
    tensors = [InferInput(name=name, shape=shape, datatype="BYTES", data=data) for name, shape, data in inputs]
    return InferRequest(model_name="m", infer_inputs=tensors)


@pytest.mark.parametrize(
    ("shape", "data"), [([2], ["a", "b"]), ([2, 1], ["a", "b"]), ([2, 1], [["a"], ["b"]]), ([1, 2], [["a", "b"]])]
)
def test_texts_are_flat_or_nested_as_their_shape_is(shape: list[int], data: Any) -> None:
    assert read_texts(request(("text_input", shape, data))) == ["a", "b"]


@pytest.mark.parametrize(
    ("shape", "data", "sentence"),
    [
        ([-1], ["a"], r"has shape \[-1\]; use \[n\]"),
        ([], ["a"], r"has shape \[\]; use \[n\]"),
        ([1.5], ["a"], r"has shape \[1.5\]"),
        ([2], ["a"], r"cannot be read as \[2\] UTF-8 texts: its data holds 1"),
        ([2], [["a"], ["b"]], r"nested as \[2, 1\]"),
        ([2, 1], [["a", "b"]], r"nested as \[1, 2\]"),
        ([0], [], "holds 0 texts"),
        ([1], [7], "must be texts"),
    ],
)
def test_a_shape_that_is_not_its_datas_is_rejected(shape: list[Any], data: Any, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        read_texts(request(("text_input", shape, data)))


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "contents"])
@pytest.mark.parametrize(("shape", "fits"), [([2], True), ([2, 1], True), ([1], False), ([-1], False), ([], False)])
def test_texts_over_grpc_fit_their_shape_too(shape: list[int], fits: bool, raw: bool) -> None:
    sent = ModelInferRequest(model_name="m")
    tensor = sent.inputs.add(name="text_input", datatype="BYTES", shape=shape)
    if raw:
        sent.raw_input_contents.append(b"\1\0\0\0a\1\0\0\0b")
    else:
        tensor.contents.bytes_contents.extend((b"a", b"b"))
    asked = InferRequest.from_grpc(sent)
    if fits:
        assert read_texts(asked) == ["a", "b"]
        return
    with pytest.raises(InvalidInput, match="text_input"):
        read_texts(asked)


def test_two_inputs_of_one_name_are_rejected() -> None:
    one = ("text_input", [1], ["a"])
    with pytest.raises(InvalidInput, match="inputs are 'text_input', 'text_input'; send exactly one"):
        read_texts(request(one, one))


@pytest.mark.parametrize(
    ("size", "sent", "fits"), [(5, b"\1\0\0\0a", True), (5, b"\1\0\0\0ab", False), (9, b"\1\0\0\0a", False)]
)
def test_binary_texts_are_as_long_as_the_json_says(size: int, sent: bytes, fits: bool) -> None:
    tensor = {"name": "text_input", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": size}}
    head = json.dumps({"inputs": [tensor]}).encode()
    assert struct.unpack("<I", sent[:4]) == (1,)
    if fits:
        check_tensors(head + sent, len(head))
        return
    with pytest.raises(ValueError, match=f"binary_data_size are \\[{size}\\], and {len(sent)} bytes follow the JSON"):
        check_tensors(head + sent, len(head))
