"""V2 requests with an image instead of a model's tensors: one input ``image`` of datatype BYTES and one element.

REST only; KServe reads those over gRPC. KServe's reader of binary tensors takes BYTES for UTF-8 text, and would log
them.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from predictors.vision.images.inference import Image, ImageResult
from predictors.vision.images.request_bodies import decode_base64, image_of
from predictors.vision.triton.tensors import as_json_tensors, elements, texts
from switchyard.http.api_errors import ApiError
from switchyard.http.json_body import parse_object

IMAGE = "image"
_HEADER_BYTES = 64 * 1024  # of JSON that describes binary tensors: parsing it takes less than a millisecond

# As a tensor has it, and never a text: within one, its quotes would be escaped.
_BYTES = re.compile(rb'"datatype"\s*:\s*"BYTES"')


def has_bytes(body: bytes, header_length: int) -> bool:
    """Whether a V2 request has a tensor of datatype BYTES, by a look at its JSON, which may not be whole."""
    return _BYTES.search(body, 0, header_length) is not None


def read_v2(model: str, body: bytes, header_length: int) -> tuple[str, Image]:
    """Read the request's id and its image: bytes after the JSON, or base64 in it; ``top_k`` is a parameter.

    Raises:
        ApiError: 400 it has anything else.
    """
    header = parse_object(body[:header_length])
    try:
        tensors = header["inputs"]
        check_inputs(model, [(tensor["name"], tensor["datatype"]) for tensor in tensors])
        size = (tensors[0].get("parameters") or {}).get("binary_data_size")
        data = _only(tensors[0]["data"] if size is None else texts(body[header_length : header_length + size]))
        parameters = header.get("parameters") or {}
        return str(header.get("id") or ""), image_of(data, parameters.get("top_k"))
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        message = "the body is not a V2 request: see the protocol's inference request object"
        raise ApiError("invalid_value", message) from err


def texts_in(body: bytes, header_length: int) -> Iterator[bytes]:
    """Yield the elements of the binary BYTES tensors of a request with tensors; JSON has no room for images.

    Raises:
        ValueError: the JSON or an element is malformed.
    """
    if header_length == len(body) or header_length > _HEADER_BYTES:
        return
    at = header_length
    try:
        for tensor in orjson.loads(body[:header_length])["inputs"]:
            size = tensor.get("parameters", {}).get("binary_data_size", 0)
            if tensor["datatype"] == "BYTES":
                yield from elements(body[at : at + size])
            at += size
    except (KeyError, TypeError, AttributeError) as err:
        raise ValueError("the JSON before the tensors is no inference request") from err


def write_v2(model: str, identifier: str, result: ImageResult) -> bytes:
    """Encode the result as plain JSON."""
    fields = {"id": identifier} if identifier else {}
    return orjson.dumps({**fields, "model_name": model, "outputs": as_json_tensors(result.as_tensors())})


def check_inputs(model: str, inputs: Sequence[tuple[str, str]]) -> None:
    """Check the names and datatypes of a request's inputs.

    Raises:
        ApiError: 400 they are not one image.
    """
    if list(inputs) != [(IMAGE, "BYTES")]:
        seen = ", ".join(f"{name!r} {datatype}" for name, datatype in inputs[:8]) or "none"
        either = f"send the tensors that GET /v2/models/{model} lists, or one image as {IMAGE!r} BYTES [1]"
        raise ApiError("invalid_value", f"inputs are {seen}; {either}")


def _only(values: Any) -> bytes:
    if not isinstance(values, list) or len(values) != 1:
        count = len(values) if isinstance(values, list) else "no list of"
        raise ApiError("invalid_value", f"input {IMAGE!r} holds {count} images; send one in a request")
    value = values[0]
    return value if isinstance(value, bytes) else decode_base64(value)
