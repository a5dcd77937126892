"""Small ONNX models, made when a test asks."""

from pathlib import Path

import onnx
from onnx import TensorProto, helper

TENSORS = (("input", "x"), ("output", "y"))


def write_doubler(path: Path, *, name: str = "x", size: int = 4) -> Path:
    """Write a graph that doubles a row of ``size`` numbers, and return its path."""
    made = helper.make_graph(
        [helper.make_node("Add", [name, name], ["y"])],
        "doubler",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", size])],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)
    return path


def doubler_folder(folder: Path, *, size: int = 4) -> Path:
    """Write such a graph as the first version of a model of Triton's layout, and return its folder."""
    write_doubler(folder / "1" / "model.onnx", size=size)
    tensors = " ".join(f'{what} {{ name: "{name}" data_type: TYPE_FP32 dims: [{size}] }}' for what, name in TENSORS)
    (folder / "config.pbtxt").write_text(f'backend: "onnxruntime" max_batch_size: 8 {tensors}\n')
    return folder
