"""Folders of models as tests need them: graphs of one operator, and what lies around them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from switchyard.repository.inspection import Inspection, Surroundings
from switchyard.repository.triton.inspector import inspect

Files = Mapping[str, str | bytes]
Dims = Sequence[int | str | None] | None

CONFIG = """
backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [4] }
output { name: "y" data_type: TYPE_FP32 dims: [4] }
"""
PYTHON_CONFIG = """
backend: "python"
input { name: "x" data_type: TYPE_FP32 dims: [4] }
output { name: "y" data_type: TYPE_FP32 dims: [4] }
"""
PYTHON = """
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([]) for _ in requests]
"""


def graph(
    *,
    inputs: Mapping[str, tuple[int, Dims]] | None = None,
    outputs: Mapping[str, tuple[int, Dims]] | None = None,
    operator: str = "Identity",
    domain: str = "",
    opset: int = 17,
    ir_version: int = 8,
    **parts: Any,
) -> bytes:
    """A graph whose every output is ``operator`` of its first input: by default FP32 [any, 4] in and out."""
    given = {"x": (TensorProto.FLOAT, (None, 4))} if inputs is None else inputs
    made = {"y": (TensorProto.FLOAT, (None, 4))} if outputs is None else outputs
    nodes = [helper.make_node(operator, [next(iter(given))], [name], domain=domain) for name in made]
    whole = helper.make_graph(nodes, "g", _values(given), _values(made), **parts)
    opsets = [helper.make_opsetid("", opset)]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return bytes(helper.make_model(whole, opset_imports=opsets, ir_version=ir_version).SerializeToString())


def _values(tensors: Mapping[str, tuple[int, Dims]]) -> list[Any]:
    return [helper.make_tensor_value_info(name, element, dims) for name, (element, dims) in tensors.items()]


def write(folder: Path, files: Files) -> Path:
    """Write ``files`` below ``folder``; a path that ends in a slash is an empty folder."""
    for name, content in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def judged(folder: Path, **surroundings: Any) -> Inspection:
    return inspect(folder, Surroundings(**surroundings))
