"""V2 requests that bring a picture instead of a model's tensors: one input ``image`` of datatype BYTES and one element.

REST only; gRPC's are read by KServe. KServe's reading of binary tensors takes BYTES for UTF-8 text, and would log them.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from predictors.vision.pictures.answering import Answer, Picture
from predictors.vision.pictures.bodies import decode_base64, picture
from predictors.vision.refusal import Refused
from predictors.vision.triton.tensors import as_json_tensors, texts

IMAGE = "image"


def read_v2(model: str, body: bytes, head_length: int) -> tuple[str, Picture]:
    """The request's id and its picture: bytes behind the JSON, or base64 within it; ``top_k`` is a parameter.

    Raises:
        Refused: 400 it brings anything else.
    """
    try:
        head = orjson.loads(body[:head_length])
        tensors = head["inputs"]
        check_inputs(model, [(tensor["name"], tensor["datatype"]) for tensor in tensors])
        size = (tensors[0].get("parameters") or {}).get("binary_data_size")
        data = _only(tensors[0]["data"] if size is None else texts(body[head_length : head_length + size]))
        parameters = head.get("parameters") or {}
        return str(head.get("id") or ""), picture(data, parameters.get("top_k"))
    except (ValueError, KeyError, TypeError, AttributeError) as err:
        raise Refused(400, "the body is no V2 request: see the protocol's inference request object") from err


def write_v2(model: str, identifier: str, answer: Answer) -> bytes:
    """The answer as plain JSON."""
    head = {"id": identifier} if identifier else {}
    return orjson.dumps({**head, "model_name": model, "outputs": as_json_tensors(answer.as_tensors())})


def check_inputs(model: str, inputs: Sequence[tuple[str, str]]) -> None:
    """Looks at the names and datatypes of a request's inputs.

    Raises:
        Refused: 400 they are not one picture.
    """
    if list(inputs) != [(IMAGE, "BYTES")]:
        seen = ", ".join(f"{name!r} {datatype}" for name, datatype in inputs[:8]) or "none"
        either = f"send the tensors that GET /v2/models/{model} lists, or one picture as {IMAGE!r} BYTES [1]"
        raise Refused(400, f"inputs are {seen}; {either}")


def _only(values: Any) -> bytes:
    if not isinstance(values, list) or len(values) != 1:
        count = len(values) if isinstance(values, list) else "no list of"
        raise Refused(400, f"input {IMAGE!r} holds {count} pictures; send one in a request")
    value = values[0]
    return value if isinstance(value, bytes) else decode_base64(value)
