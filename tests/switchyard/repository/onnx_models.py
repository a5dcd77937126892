"""Small ONNX models, made here."""

from collections.abc import Sequence
from pathlib import Path

import onnx
from onnx import TensorProto, helper


def save(folder: Path, nodes: Sequence[onnx.NodeProto], *, width: int = 4, output: int = TensorProto.FLOAT) -> Path:
    """Write a model of ``nodes`` from ``x`` [-1, width] to ``y`` into ``folder/1``; return the folder."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("y", output, [None, width])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "1").mkdir(parents=True, exist_ok=True)
    (folder / "1/model.onnx").write_bytes(model.SerializeToString())
    return folder


def relu(folder: Path, *, width: int = 4) -> Path:
    """Write a model that works."""
    save(folder, [helper.make_node("Relu", ["x"], ["y"])], width=width)
    return with_config(folder, width=width)


def with_config(folder: Path, *, width: int = 4, output: str = "TYPE_FP32") -> Path:
    """Write a configuration of ``x`` and ``y``."""
    (folder / "config.pbtxt").write_text(
        f"""backend: "onnxruntime"
max_batch_size: 8
input {{ name: "x" data_type: TYPE_FP32 dims: [{width}] }}
output {{ name: "y" data_type: {output} dims: [{width}] }}
"""
    )
    return folder
