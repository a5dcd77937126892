"""V2 and chat bodies that bring a picture, as JSON alone or with bytes behind it: ``predictors.vision``.

The input is the length of the JSON head in digits, a line feed, and the body.
"""

import base64
from typing import Any

import orjson

from predictors.vision.images import chat
from predictors.vision.images.request_bodies import json_object
from predictors.vision.images.v2 import read_v2
from predictors.vision.rest.application import _parameters
from switchyard.http.api_errors import ApiError
from tests.fuzz.mutation import changed_behind_length

TOKENS = (
    *(b'{"inputs":[{"name":"image","datatype":"BYTES","shape":[1],"data":["aGk="]}]}', b'"parameters":{"top_k":3}'),
    *(b'"binary_data_size":6', b"\x02\0\0\0hi", b'"id":"a"', b"null", b"[]", b"{}", b'""', b"-1", b"1e9", b"true"),
    *(b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:;base64,aGk="}}]}]}',),
    *(b'{"parameters":{"config":"x"}}', b'"file:1/model.py"', b"99999999999999999999", b",", b"\\u0000", b"\xff"),
)
_READ_AS = "what it says"
SHAPED = changed_behind_length


def target(data: bytes) -> None:
    digits, _, body = data.partition(b"\n")
    _tensor(body, int(digits) if digits.isdigit() and len(digits) < 5 else len(body))
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
        parameters = _parameters(body)
    except ApiError as err:
        if err.status != 400:
            raise
        return
    assert not any(name.startswith("file:") for name in parameters)
