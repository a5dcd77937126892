"""Small ONNX graphs, and folders with them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.switchyard.repository.corpus.case import Build

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
Dim = int | str | None
Tensors = Mapping[str, tuple[int, Sequence[Dim] | None]]  # element type and shape; a name or None is any size

X: Tensors = {"x": (FLOAT, ["batch", 4])}
Y: Tensors = {"y": (FLOAT, ["batch", 4])}

CONFIG = """backend: "onnxruntime"
max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: [4] }
output { name: "y" data_type: TYPE_FP32 dims: [4] }
"""


def model(
    nodes: Iterable[onnx.NodeProto],
    inputs: Tensors = X,
    outputs: Tensors = Y,
    *,
    weights: Mapping[str, Any] | None = None,
    opset: int = 17,
    ir: int = 8,
    domains: Mapping[str, int] | None = None,
    functions: Sequence[onnx.FunctionProto] = (),
) -> onnx.ModelProto:
    """A model of one graph; it need not be valid."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, *tensor) for name, tensor in inputs.items()],
        [helper.make_tensor_value_info(name, *tensor) for name, tensor in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(*each) for each in (domains or {}).items())]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions))


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> onnx.NodeProto:
    """A node whose inputs and outputs are names, separated by blanks."""
    return helper.make_node(kind, inputs.split(), outputs.split(), **attributes)


def relu() -> onnx.ModelProto:
    return model([node("Relu", "x", "y")])


def linear(rows: int = 4, columns: int = 3, seed: int = 1) -> onnx.ModelProto:
    """``y = x · weights``."""
    weights = np.random.default_rng(seed).random((rows, columns), dtype=np.float32)
    outputs: Tensors = {"y": (FLOAT, ["batch", columns])}
    product = node("MatMul", "x weights", "y")
    return model([product], {"x": (FLOAT, ["batch", rows])}, outputs, weights={"weights": weights})


def packed(made: onnx.ModelProto) -> bytes:
    data: bytes = made.SerializeToString()
    return data


def save(
    content: onnx.ModelProto | bytes, config: str | bytes = "", *, file: str = "1/model.onnx", **files: str
) -> Build:
    """Write a model, a config.pbtxt unless it is empty, and other ``files`` (a ``_`` stands for a dot)."""

    def build(folder: Path) -> None:
        data = content if isinstance(content, bytes) else packed(content)
        put(folder, file, data)
        if config:
            put(folder, "config.pbtxt", config)
        for name, text in files.items():
            put(folder, name.replace("_", "."), text)

    return build


def put(folder: Path, file: str, content: str | bytes) -> None:
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def one(kind: str, element: int, shape: Sequence[Dim], *, to: int | None = None, **attributes: Any) -> Build:
    """Only 1/model.onnx, with one node from ``x`` to ``y``."""
    return save(model([node(kind, "x", "y", **attributes)], {"x": (element, shape)}, {"y": (to or element, shape)}))


def external(folder: Path, *, location: str = "weights.bin", size: int = 48, write: bool = True) -> None:
    """A linear model whose weights lie in another file, of ``size`` bytes."""
    made = linear()
    (weights,) = made.graph.initializer
    data = weights.raw_data
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", str(len(data)))):
        weights.external_data.add(key=key, value=value)
    put(folder, "1/model.onnx", made.SerializeToString())
    if write:
        put(folder, "1/weights.bin", data[:size])


def nested(depth: int) -> onnx.ModelProto:
    """``If`` in both branches of ``If``, ``depth`` times."""
    inner = helper.make_graph([node("Identity", "x", "y0")], "g0", [], [helper.make_empty_tensor_value_info("y0")])
    for number in range(1, depth):
        name = f"y{number}"
        choice = node("If", "yes", name, then_branch=inner, else_branch=inner)
        inner = helper.make_graph([choice], f"g{number}", [], [helper.make_empty_tensor_value_info(name)])
    choice = node("If", "yes", "y", then_branch=inner, else_branch=inner)
    return model([choice], weights={"yes": np.array(True)})


def loop(trips: int) -> onnx.ModelProto:
    """Adds ``x`` to itself ``trips`` times."""
    tensor = helper.make_tensor_value_info
    body = helper.make_graph(
        [node("Identity", "more", "more_out"), node("Add", "sum x", "sum_out")],
        "body",
        [tensor("i", INT64, []), tensor("more", TensorProto.BOOL, []), tensor("sum", FLOAT, None)],
        [tensor("more_out", TensorProto.BOOL, []), tensor("sum_out", FLOAT, None)],
    )
    nodes = [node("Loop", "trips yes x", "y", body=body)]
    return model(nodes, weights={"trips": np.array(trips), "yes": np.array(True)})
