"""V2 bodies, JSON alone or with tensors behind it: requests and chats that bring an image, responses of Triton.

The input is the length of the JSON in digits, a line feed, and the body.
"""

import base64
from typing import Any

import numpy as np
import orjson

from predictors.vision.images import chat
from predictors.vision.images.request_bodies import json_object
from predictors.vision.images.v2 import read_v2
from predictors.vision.triton.control import control_request, unload_of_json
from predictors.vision.triton.tensors import Tensor, decode, texts
from switchyard.http.api_errors import ApiError
from tests.fuzz.mutation import changed_behind_length

TOKENS = (
    *(b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["aGk="]}]}', b'"parameters":{"top_k":3}'),
    *(b'"binary_data_size":6', b"\x02\0\0\0hi", b'"id":"a"', b"null", b"[]", b"{}", b'""', b"-1", b"1e9", b"true"),
    *(b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:;base64,aGk="}}]}]}',),
    *(b'{"parameters":{"config":"x"}}', b'"file:1/model.py"', b"99999999999999999999", b",", b"\\u0000", b"\xff"),
    *(b'{"outputs":[', b'{"name":"a","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}', b"]}"),
    *(b'"FP32"', b'"BYTES"', b'"BOOL"', b'"shape":[', b"-1", b"0", b"4", b"null", b"true", b"1e3", b"\x01\0\0\0a"),
    *(b'"binary_data_size":', b"\xff\xff\xff\xff", b"99999999999999999999", b"[]", b"{}", b'""', b","),
)
_READ_AS = "what it says"
SHAPED = changed_behind_length


def target(data: bytes) -> None:
    digits, _, body = data.partition(b"\n")
    length = int(digits) if digits.isdigit() and len(digits) < 5 else len(body)
    _tensor(body, length)
    _response(body, length)
    _chat(body)
    _repository(body)


def _tensor(body: bytes, length: int) -> None:
    try:
        identifier, picture = read_v2("model", body, length)
    except ApiError as err:
        if err.status != 400:
            raise
        return
    assert isinstance(identifier, str)
    assert picture.data
    head = orjson.loads(body[:length])
    if "binary_data_size" in (head["inputs"][0].get("parameters") or {}):
        assert picture.data in body[length:]
    else:
        sent = head["inputs"][0]["data"][0].rpartition(",")[2]
        assert base64.b64decode(sent) == picture.data


def _chat(body: bytes) -> None:
    try:
        asked = json_object(body, "a chat")
        pictures = chat.images_in(asked)
    except ApiError as err:
        if err.status != 400:
            raise
        return
    assert len(pictures) <= chat.MAX_IMAGES
    told: dict[str, Any] = chat.with_text(asked, [_READ_AS] * len(pictures), "")
    assert chat.images_in(told) == []
    assert orjson.dumps(told).count(_READ_AS.encode()) >= len(pictures)


def _repository(body: bytes) -> None:
    try:
        made = unload_of_json("model", body)
    except ApiError as err:
        if err.status != 400:
            raise
        return
    assert made in (control_request("model"), control_request("model", unload_dependents=True))


def _response(body: bytes, length: int) -> None:
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
