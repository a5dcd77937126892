"""Why ONNX Runtime could not run a graph, without its source files and the names of its functions."""

import re

_PREFIX = re.compile(r"\[ONNXRuntimeError\] : \d+ : \w+ : |Error in execution: ")
_NODE = re.compile(r"Non-zero status code returned while running (\w+) node")


def why(error: str) -> str:
    """Return why, in one line: ONNX Runtime's own words, but for an operator that failed within the graph."""
    said = " ".join(_PREFIX.sub("", error).split())
    if failed := _NODE.match(said):
        # What it says of this is about tensors between operators, which no client has sent.
        return f"its operator {failed[1]} cannot compute with these; images often need sides that are multiples of 32"
    return said
