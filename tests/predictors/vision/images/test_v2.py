import base64
import json

import numpy as np
import orjson
import pytest

from predictors.vision.images.inference import Classification, Label
from predictors.vision.images.v2 import has_bytes, read_v2, write_v2
from predictors.vision.triton.tensors import Tensor, encode
from switchyard.http.api_errors import ApiError


def body(data: object = None, **changes: object) -> bytes:
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": data, **changes}
    return json.dumps({"id": "7", "inputs": [tensor], "parameters": {"top_k": 2}}).encode()


FLOATS = {"name": "pixels", "datatype": "FP32", "shape": [1], "data": [1.0]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"id": "BYTES"}, False),
        ({"id": '"datatype":"BYTES"'}, False),
        ({"inputs": [{**FLOATS, "name": "BYTES"}]}, False),
        ({"outputs": [{"name": "BYTES"}]}, False),
        ({"parameters": {"as": "BYTES"}}, False),
        ({"inputs": [FLOATS, {**FLOATS, "datatype": "BYTES"}]}, True),
    ],
)
def test_bytes_are_a_tensors_datatype_and_no_other_text(changes: dict[str, object], expected: bool) -> None:
    request = {"inputs": [FLOATS], **changes}
    for given in (json.dumps(request).encode(), orjson.dumps(request)):
        assert has_bytes(given + b'"datatype":"BYTES"', len(given)) is expected


def test_base64_in_json_is_the_image() -> None:
    given = body([base64.b64encode(b"\xff\0").decode()])
    identifier, picture = read_v2("m", given, len(given))
    assert (identifier, picture.data, picture.top_k) == ("7", b"\xff\0", 2)


def test_a_request_without_an_id_has_an_empty_one() -> None:
    given = json.dumps({**json.loads(body(["YQ=="])), "id": None}).encode()
    assert read_v2("m", given, len(given))[0] == ""


def test_bytes_behind_the_json_are_the_image() -> None:
    length, given = encode([Tensor.of_bytes("image", b"\xff\0")], [])
    assert read_v2("m", given, length)[1].data == b"\xff\0"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (body([]), "holds 0 images"),
        (body(["YQ==", "YQ=="]), "holds 2 images"),
        (body("YQ=="), "no list of images"),
        (body(["YQ=="], name="picture"), "inputs are 'picture' BYTES; send the tensors that GET /v2/models/m lists"),
        (body([1.0], datatype="FP32"), "inputs are 'image' FP32"),
        (b'{"inputs": []}', "inputs are none"),
        (b'{"inputs": [5]}', "not a V2 request"),
        (b"{}", "not a V2 request"),
        (b"", "not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
    ],
)
def test_anything_else_is_rejected(given: bytes, words: str) -> None:
    with pytest.raises(ApiError, match=words) as raised:
        read_v2("m", given, len(given))
    assert raised.value.status == 400


def test_an_response_names_its_request_and_its_tensors() -> None:
    answer = orjson.loads(write_v2("m", "7", Classification(labels=(Label(label="cat", score=0.5, index=3),))))
    assert (answer["id"], answer["model_name"]) == ("7", "m")
    assert [(row["name"], row["datatype"], row["data"]) for row in answer["outputs"]] == [
        ("label", "BYTES", ["cat"]),
        ("score", "FP32", [np.float32(0.5)]),
        ("index", "INT32", [3]),
    ]
