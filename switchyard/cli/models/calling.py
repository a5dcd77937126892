"""How a model is called that has just been added: a line for a shell."""

import json
import math
import shlex
from collections.abc import Sequence

from switchyard.repository.verdict import Facts, Tensor

_ELEMENTS = 64  # of an example in a terminal; a picture has a thousand times as many
_TEXT = "What is 17 plus 25?"


def call_line(gateway: str, name: str, facts: Facts, *, with_key: bool) -> str:
    """Return a curl command that the model answers."""
    key = ' -H "authorization: Bearer $SWITCHYARD_KEY"' if with_key else ""
    if facts.kind == "llm":
        body: object = {"model": name, "messages": [{"role": "user", "content": _TEXT}]}
        return f"curl -s {gateway}/v1/chat/completions{key}{_json(body)}"
    if facts.kind == "embedding":
        return f"curl -s {gateway}/v1/embeddings{key}{_json({'model': name, 'input': _TEXT})}"
    if _takes_image(facts.inputs):
        return f"curl -s {gateway}/v1/vision/{name}{key} -H 'content-type: image/jpeg' --data-binary @image.jpg"
    if sum(map(_elements, facts.inputs)) > _ELEMENTS or not facts.inputs:
        return f"curl -s {gateway}/v2/models/{name}{key}  # names its inputs and outputs"
    inputs = [
        {"name": tensor.name, "datatype": tensor.datatype, "shape": _shape(tensor), "data": _data(tensor)}
        for tensor in facts.inputs
    ]
    return f"curl -s {gateway}/v2/models/{name}/infer{key}{_json({'inputs': inputs})}"


def _json(body: object) -> str:
    return f" -H 'content-type: application/json' -d {shlex.quote(json.dumps(body))}"


def _takes_image(inputs: Sequence[Tensor]) -> bool:
    """Whether the one input is an image: NCHW or NHWC with the three colors."""
    if len(inputs) != 1:
        return False
    shape = inputs[0].shape
    return len(shape) in (3, 4) and 3 in (shape[-3], shape[-1]) and inputs[0].datatype in ("FP32", "FP16", "UINT8")


def _shape(tensor: Tensor) -> list[int]:
    return [max(length, 1) for length in tensor.shape]


def _elements(tensor: Tensor) -> int:
    return math.prod(_shape(tensor))


def _data(tensor: Tensor) -> list[object]:
    value: object = {"BYTES": "text", "BOOL": False}.get(tensor.datatype, 0)
    return [value] * _elements(tensor)
