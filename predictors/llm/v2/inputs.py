"""The texts of a V2 request, read from its one input; a request that contradicts itself is its client's mistake."""

import math
import struct
from typing import Any

import numpy as np
import orjson
from kserve import InferRequest
from kserve.errors import InferenceError, InvalidInput

TEXT = "text_input"  # the name that Triton's vLLM backend uses, so that its clients work unchanged
MAX_TEXTS = 256  # per request, so that one client cannot take every slot


def check_tensors(body: bytes, json_length: int) -> None:
    """Read binary tensors as KServe will once more, where whatever goes wrong is a 500 though the client is wrong.

    Raises:
        ValueError: they cannot be read, or are not as long as the JSON says.
    """
    try:
        InferRequest.from_bytes(body, json_length, "")
    except (InferenceError, InvalidInput, LookupError, TypeError, AttributeError, struct.error) as err:
        raise ValueError(str(err)) from err
    inputs = orjson.loads(body[:json_length])["inputs"]
    sizes = [one["parameters"]["binary_data_size"] for one in inputs if one.get("data") is None]
    follow = len(body) - json_length
    if sum(sizes) != follow or any(size < 0 for size in sizes):
        raise ValueError(f"the inputs' binary_data_size are {sizes}, and {follow} bytes follow the JSON")


def read_texts(request: InferRequest, most: int = MAX_TEXTS) -> list[str]:
    """Return the texts of a request, at most ``most``.

    Raises:
        InvalidInput: it has not exactly one input of texts, or what it says of that is not so.
    """
    if [tensor.name for tensor in request.inputs] != [TEXT]:
        seen = ", ".join(repr(tensor.name) for tensor in request.inputs) or "none"
        raise InvalidInput(f"inputs are {seen}; send exactly one, named {TEXT!r}, of datatype BYTES and shape [n]")
    (tensor,) = request.inputs
    if tensor.datatype != "BYTES":
        raise InvalidInput(f"input {TEXT!r} has datatype {tensor.datatype}; use BYTES")
    shape = tensor.shape
    if not shape or any(type(size) is not int or size < 0 for size in shape):
        raise InvalidInput(f"input {TEXT!r} has shape {shape}; use [n], n being the number of its texts")
    try:
        _check_nesting(tensor.data, shape)
        values = tensor.as_numpy().reshape(-1).tolist()
        texts = [value if isinstance(value, str) else value.decode("utf-8") for value in values]
    except (AttributeError, TypeError) as err:
        raise InvalidInput(f"the data of input {TEXT!r} must be texts, as many as its shape {shape} says") from err
    # A shape that does not fit, lengths that are not those of the texts, or bytes that are not UTF-8.
    except (ValueError, struct.error) as err:
        raise InvalidInput(f"input {TEXT!r} cannot be read as {shape} UTF-8 texts: {err}") from err
    if not 1 <= len(texts) <= most:
        raise InvalidInput(f"input {TEXT!r} holds {len(texts)} texts; send {f'1 to {most}' if most > 1 else 'one'}")
    return texts


def _check_nesting(data: Any, shape: list[int]) -> None:
    """Check that texts in JSON are flat, or nested as the shape is (V2's "Tensor Data").

    Raises:
        ValueError: they are nested in another way.
    """
    if data is None or len(data) == 0:  # binary data has no nesting
        return
    nested = list(np.array(data, dtype=object).shape)
    if len(nested) > 1 and nested != shape:
        raise ValueError(f"its data is nested as {nested}")
    if math.prod(nested) != math.prod(shape):
        raise ValueError(f"its data holds {math.prod(nested)}")
