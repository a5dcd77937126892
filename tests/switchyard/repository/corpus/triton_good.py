"""Good models in Triton's layout: graphs of many opsets and types, configurations, code, and what the project ships."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from tests.switchyard.repository.corpus.case import Build, Case, vision
from tests.switchyard.repository.corpus.estimators import digits, to_onnx
from tests.switchyard.repository.corpus.graphs import (
    CONFIG,
    FLOAT,
    INT64,
    Dim,
    Tensors,
    X,
    external,
    linear,
    loop,
    model,
    nested,
    node,
    one,
    put,
    relu,
    save,
)

SHIPPED = Path(__file__).parents[4] / "model-repository/vision"

PYTHON = '''"""Doubles."""
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self._one(pb_utils.get_input_tensor_by_name(request, "x").as_numpy()) for request in requests]

    def _one(self, x):
        return pb_utils.InferenceResponse([pb_utils.Tensor("y", (2 * x).astype(np.float32))])
'''
PYTHON_CONFIG = CONFIG.replace("onnxruntime", "python")


def _shipped(name: str) -> Build:
    return lambda folder: shutil.copytree(SHIPPED / name, folder, dirs_exist_ok=True)


def _shipped_graph(name: str) -> Build:
    """Only the graph of a shipped model, without its configuration."""

    def build(folder: Path) -> None:
        (graph,) = (SHIPPED / name / "1").glob("*.onnx")
        put(folder, "1/model.onnx", graph.read_bytes())

    return build


def _if() -> Any:
    def branch(kind: str) -> Any:
        return helper.make_graph([node(kind, "x", kind)], kind, [], [helper.make_tensor_value_info(kind, FLOAT, None)])

    test = [node("ReduceSum", "x", "sum", keepdims=0), node("Greater", "sum zero", "more")]
    nodes = [*test, node("If", "more", "y", then_branch=branch("Neg"), else_branch=branch("Abs"))]
    return model(nodes, weights={"zero": np.float32(0)})


def _own_function() -> Any:
    double = helper.make_function(
        "own", "Double", ["a"], ["b"], [node("Add", "a a", "b")], [helper.make_opsetid("", 17)]
    )
    return model([node("Double", "x", "y", domain="own")], domains={"own": 1}, functions=[double])


def _quantized() -> Any:
    nodes = [node("QuantizeLinear", "x scale zero", "q"), node("DequantizeLinear", "q scale zero", "y")]
    return model(nodes, weights={"scale": np.float32(0.1), "zero": np.int8(0)})


def _images(height: Dim, width: Dim) -> Any:
    weights = np.ones((2, 3, 3, 3), np.float32)
    nodes = [
        node("Conv", "image weights", "map"),
        node("GlobalAveragePool", "map", "pool"),
        node("Flatten", "pool", "y"),
    ]
    inputs: Tensors = {"image": (FLOAT, ["batch", 3, height, width])}
    return model(nodes, inputs, {"y": (FLOAT, ["batch", 2])}, weights={"weights": weights})


def _pixels() -> Any:
    shape: list[Dim] = ["batch", 28, 28]
    return model([node("Cast", "x", "y", to=FLOAT)], {"x": (TensorProto.UINT8, shape)}, {"y": (FLOAT, shape)})


def _lookup() -> Any:
    table = np.arange(12, dtype=np.float32).reshape(4, 3)
    inputs: Tensors = {"ids": (INT64, ["batch", "length"])}
    outputs: Tensors = {"y": (FLOAT, ["batch", "length", 3])}
    return model([node("Gather", "table ids", "y")], inputs, outputs, weights={"table": table})


def _versions(policy: str = "") -> Build:
    def build(folder: Path) -> None:
        for version in ("1", "2", "3"):
            put(folder, f"{version}/model.onnx", linear(seed=int(version)).SerializeToString())
        put(
            folder,
            "config.pbtxt",
            CONFIG.replace('"y" data_type: TYPE_FP32 dims: [4]', '"y" data_type: TYPE_FP32 dims: [3]') + policy,
        )

    return build


def _old_constants() -> Any:
    """A model of IR version 3, whose constants are among the inputs."""
    return model(
        [node("Add", "x bias", "y")],
        {**X, "bias": (FLOAT, [4])},
        weights={"bias": np.ones(4, np.float32)},
        ir=3,
        opset=7,
    )


def _with_litter(folder: Path) -> None:
    save(relu(), CONFIG, README_md="# A model\n\nWhat comes out is positive.\n")(folder)
    for file in (".DS_Store", ".gitattributes", "1/.ipynb_checkpoints/model.onnx", "1/__pycache__/x.pyc"):
        put(folder, file, b"litter")


WARMUP = """model_warmup { name: "one" batch_size: 1 inputs { key: "x" value {
  data_type: TYPE_FP32 dims: [4] random_data: true } } }
"""
_LABELED = CONFIG.removesuffix("}\n") + 'label_filename: "labels.txt" }\n'

GRAPHS: tuple[Case, ...] = (
    vision("opset-7", save(model([node("Relu", "x", "y")], opset=7, ir=3))),
    vision("opset-9", save(model([node("Relu", "x", "y")], opset=9, ir=4))),
    vision("opset-13", save(model([node("Relu", "x", "y")], opset=13, ir=7))),
    vision("opset-21", save(model([node("Relu", "x", "y")], opset=21, ir=10))),
    vision("constants-as-inputs", save(_old_constants())),
    vision("half-precision", one("Abs", TensorProto.FLOAT16, ["batch", 4])),
    vision("double-precision", one("Abs", TensorProto.DOUBLE, ["batch", 4])),
    vision("whole-numbers", one("Neg", INT64, ["batch", 4])),
    vision("truths", one("Not", TensorProto.BOOL, ["batch", 4])),
    vision("bytes-to-floats", save(_pixels())),
    vision("strings", one("Identity", TensorProto.STRING, ["batch", 1])),
    vision(
        "two-batches",
        save(
            model(
                [node("MatMul", "a b", "y")],
                {"a": (FLOAT, ["rows", 4]), "b": (FLOAT, [4, "columns"])},
                {"y": (FLOAT, ["rows", "columns"])},
            )
        ),
    ),
    vision(
        "a-number-for-each-row",
        save(
            model(
                [node("ReduceSum", "x axes", "y", keepdims=0)],
                outputs={"y": (FLOAT, ["batch"])},
                weights={"axes": np.array([1])},
            )
        ),
    ),
    vision("images-of-any-size", save(_images("height", "width"))),
    vision("images-of-one-size", save(_images(32, 32))),
    vision("fixed-batch", one("Relu", FLOAT, [1, 4])),
    vision("word-vectors", save(_lookup())),
    vision("weights-beside", external),
    vision("branches", save(_if())),
    vision("a-loop", save(loop(3))),
    vision("own-function", save(_own_function())),
    vision("quantized", save(_quantized())),
    vision(
        "microsofts-operator",
        save(model([node("Gelu", "x", "y", domain="com.microsoft")], domains={"com.microsoft": 1})),
    ),
    vision("ten-megabytes", save(linear(1600, 1600))),
    vision("branches-in-branches", save(nested(6))),
    vision(
        "zipmap", lambda folder: put(folder, "1/model.onnx", to_onnx(digits(), 64, zipmap=True)), notes="is left out"
    ),
    vision(
        "not-a-number", save(model([node("Sub", "x x", "zero"), node("Div", "zero zero", "y")])), notes="no numbers"
    ),
)

CONFIGURED: tuple[Case, ...] = (
    vision("configured", save(relu(), CONFIG)),
    vision("configured-in-part", save(relu(), "max_batch_size: 4\ninstance_group { count: 2 kind: KIND_CPU }\n")),
    vision("named", save(relu(), 'name: "named"\n' + CONFIG)),
    vision(
        "batching",
        save(relu(), CONFIG + "dynamic_batching { preferred_batch_size: [4, 8] max_queue_delay_microseconds: 100 }\n"),
    ),
    vision("another-file-name", save(relu(), CONFIG + 'default_model_filename: "net.onnx"\n', file="1/net.onnx")),
    vision("labeled", save(relu(), _LABELED, labels_txt="a\nb\nc\nd\n")),
    vision("warmed-up", save(relu(), CONFIG + WARMUP)),
    vision("latest-of-three", _versions(), versions=("3",)),
    vision("all-of-three", _versions("version_policy { all {} }"), versions=("1", "2", "3")),
    vision("one-of-three", _versions("version_policy { specific { versions: [2] } }"), versions=("2",)),
    vision(
        "reshaped", save(relu(), CONFIG.replace("dims: [4] }\noutput", "dims: [2, 2] reshape { shape: [4] } }\noutput"))
    ),
    vision("with-litter", _with_litter),
    vision("python-code", save(PYTHON.encode(), PYTHON_CONFIG, file="1/model.py")),
    vision("python-by-its-file", save(PYTHON.encode(), CONFIG.partition("\n")[2], file="1/model.py")),
)

REAL: tuple[Case, ...] = (
    vision("image-decode", _shipped("image-decode")),
    vision("ocr-detection", _shipped("ocr-detection")),
    vision("ocr-direction", _shipped("ocr-direction")),
    vision("ocr-recognition", _shipped("ocr-recognition")),
    vision("ocr", _shipped("ocr")),
    vision("detection-alone", _shipped_graph("ocr-detection")),
    vision("direction-alone", _shipped_graph("ocr-direction")),
    vision("recognition-alone", _shipped_graph("ocr-recognition")),
)

CASES = (*GRAPHS, *CONFIGURED, *REAL)
