"""ONNX models of any size, published as the model repository publishes them: by a link to files that never change."""

import os
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CONFIG = """\
backend: "onnxruntime"
max_batch_size: 0
input { name: "x" data_type: TYPE_FP32 dims: [ 1, %d ] }
output { name: "y" data_type: TYPE_FP32 dims: [ 1, %d ] }
instance_group { count: 1 kind: KIND_CPU }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
"""


def write(folder: Path, side: int, value: float) -> None:
    """Writes a model that multiplies a row of ``side`` numbers by a matrix full of ``value``: 4 * side**2 bytes."""
    (folder / "1").mkdir(parents=True)
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, side]) for name in "xy")
    weights = numpy_helper.from_array(np.full((side, side), value, np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "rows", [x], [y], [weights])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "1" / "model.onnx"
    )
    (folder / "config.pbtxt").write_text(CONFIG % (side, side))


def publish(repository: Path, name: str, content: Path) -> None:
    """Switches the link of a model to ``content``."""
    os.utime(content / "1")  # Triton loads anew what is newer than what it loaded
    staged = repository.parent / f".{name}"
    staged.symlink_to(content)
    os.replace(staged, repository / name)
