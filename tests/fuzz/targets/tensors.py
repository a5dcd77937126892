"""V2 bodies with binary tensors, as Triton answers them: ``predictors.vision.triton.tensors``.

The input is the length of the JSON head in digits, a line feed, and the body.
"""

import numpy as np
import orjson

from predictors.vision.triton.tensors import Tensor, decode, texts
from tests.fuzz.mutation import changed_behind_length

TOKENS = (
    *(b'{"outputs":[', b'{"name":"a","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}', b"]}"),
    *(b'"FP32"', b'"BYTES"', b'"BOOL"', b'"shape":[', b"-1", b"0", b"4", b"null", b"true", b"1e3", b"\x01\0\0\0a"),
    *(b'"binary_data_size":', b"\xff\xff\xff\xff", b"99999999999999999999", b"[]", b"{}", b'""', b","),
)
SHAPED = changed_behind_length


def target(data: bytes) -> None:
    digits, _, body = data.partition(b"\n")
    length = int(digits) if digits.isdigit() and len(digits) < 5 else len(body)
    try:
        arrays = decode(body, length)
    except ValueError:
        arrays = {}
    held = sum(array.nbytes for array in arrays.values() if array.dtype != np.object_)
    assert held <= len(body)
    for name, array in arrays.items():
        if array.dtype != np.object_:
            assert _again(Tensor.of_numbers(name, array)).tobytes() == array.tobytes()
    _elements(body)


def _again(tensor: Tensor) -> np.ndarray:
    head = orjson.dumps({"outputs": [tensor.as_json()]})
    array = decode(head + tensor.data, len(head))[tensor.name]
    assert array.shape == tensor.shape
    return array


def _elements(body: bytes) -> None:
    try:
        found = texts(body)
    except ValueError:
        return
    assert b"".join(Tensor.of_bytes("a", one).data for one in found) == body
