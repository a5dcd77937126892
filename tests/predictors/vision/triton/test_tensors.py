"""The binary tensor extension, there and back."""

import numpy as np
import orjson
import pytest

from predictors.vision.triton.tensors import RequestedOutput, Tensor, as_json_tensors, decode, encode, texts


def test_a_request_has_its_json_first_and_its_tensors_behind() -> None:
    numbers = Tensor.of_numbers("size", np.array([2, 3], dtype=np.int32))
    length, body = encode([Tensor.of_bytes("image", b"abc"), numbers], [RequestedOutput(name="scores", classes=3)])
    head = orjson.loads(body[:length])
    assert [row["parameters"]["binary_data_size"] for row in head["inputs"]] == [7, 8]
    assert head["outputs"][0]["parameters"] == {"binary_data": True, "classification": 3}
    assert body[length:] == b"\x03\0\0\0abc" + np.array([2, 3], dtype=np.int32).tobytes()


def test_an_response_is_decoded_by_its_datatypes() -> None:
    boxes = np.arange(8, dtype=np.float32).reshape(1, 4, 2)
    outputs = [
        {"name": "text", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}},
        {"name": "boxes", "datatype": "FP32", "shape": [1, 4, 2], "parameters": {"binary_data_size": 32}},
    ]
    head = orjson.dumps({"outputs": outputs})
    arrays = decode(head + b"\x02\0\0\0hi" + boxes.tobytes(), len(head))
    assert arrays["text"].tolist() == [b"hi"]
    assert np.array_equal(arrays["boxes"], boxes)


@pytest.mark.parametrize("data", [b"\x05\0\0\0abc", b"\x01\0"])
def test_an_element_that_runs_past_the_end_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="past its end"):
        texts(data)


def test_plain_json_has_texts_as_texts() -> None:
    rows = as_json_tensors({"label": np.array(["ü".encode()], dtype=np.object_), "n": np.array([1], dtype=np.int32)})
    assert rows[0] == {"name": "label", "datatype": "BYTES", "shape": [1], "data": ["ü"]}
    assert rows[1]["datatype"] == "INT32"
