"""Why ONNX Runtime could not run a graph, without its source files and the names of its functions."""

import re
from collections.abc import Mapping, Sequence

_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Error in execution: ")
_NODE = re.compile(r"Non-zero status code returned while running (\w+) node")
# What it says of a category, an index or a number in a text that an operator does not take, whatever the shapes.
_CATEGORY = re.compile(r"Unknown Category")
_INDEX = re.compile(
    r"out of data bounds|Out of range value|invalid indice? found|invalid index found|index is out of range"
)
_NUMBER = re.compile(r": sto(?:d|f|i|l|ll|ul|ull)$")
_REASONS = (
    (_CATEGORY, "does not know the category, as it was not in what the model was trained with"),
    (_INDEX, "has no such index"),
    (_NUMBER, "reads a number from text, and there is none"),
)
_IMAGE_DIMENSIONS = 4  # batch, channels, height and width, in whatever order
_OF_SIZES = frozenset(("Add", "Concat", "Conv", "ConvTranspose", "FusedConv", "Mul", "Sub", "Sum"))


def rejection(error: str, shapes: Mapping[str, Sequence[int]]) -> str:
    """Return why inputs of these shapes were rejected, in one line.

    It has ONNX Runtime's own words, but for an operator that failed within the graph: what is said of that is about
    tensors between operators, which no client has sent.
    """
    said = " ".join(_PREFIX.sub("", error).split())
    failed = _NODE.match(said)
    if failed is None:
        return f"ONNX Runtime rejected inputs of the shapes {_listed(shapes)}: {said}"
    operator = failed[1]
    for pattern, reason in _REASONS:
        if pattern.search(said):
            return f"ONNX Runtime rejected a value of {', '.join(shapes)}: its operator {operator} {reason}"
    why = f"its operator {operator} cannot compute with these"
    if operator in _OF_SIZES and any(len(shape) >= _IMAGE_DIMENSIONS for shape in shapes.values()):
        why += "; images often need sides that are multiples of 32"
    return f"ONNX Runtime rejected inputs of the shapes {_listed(shapes)}: {why}"


def _listed(shapes: Mapping[str, Sequence[int]]) -> str:
    return ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
