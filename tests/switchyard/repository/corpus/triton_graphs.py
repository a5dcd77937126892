"""Broken models in Triton's layout: graphs that are wrong, or of which config.pbtxt says something else."""

from pathlib import Path

import numpy as np
from onnx import TensorProto

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Case, no_vision
from tests.switchyard.repository.corpus.estimators import digits, to_onnx
from tests.switchyard.repository.corpus.graphs import CONFIG, FLOAT, X, Y, model, node, one, put, save
from tests.switchyard.repository.corpus.triton_configs import FILE, with_config

ONNX = "1/model.onnx"


def _wants_the_map(folder: Path) -> None:
    put(folder, ONNX, to_onnx(digits(), 64, zipmap=True))
    put(folder, FILE, 'output { name: "output_probability" data_type: TYPE_FP32 dims: [10] }\n')


CASES: tuple[Case, ...] = (
    no_vision(
        "wrong-type",
        with_config('"y" data_type: TYPE_FP32', '"y" data_type: TYPE_INT64'),
        C.GRAPH,
        FILE,
        "output 'y' is TYPE_INT64 [4]",
        "write `data_type: TYPE_FP32 dims: [4]`",
    ),
    no_vision(
        "wrong-shape", with_config("dims: [4]", "dims: [5]"), C.GRAPH, FILE, "input 'x' is TYPE_FP32 [5]", "dims: [4]"
    ),
    no_vision(
        "batch-forgotten",
        with_config("max_batch_size: 8", "max_batch_size: 0"),
        C.GRAPH,
        FILE,
        "dims: [-1, 4]",
        "or set a max_batch_size",
    ),
    no_vision(
        "batch-that-is-fixed",
        save(model([node("Relu", "x", "y")], {"x": (FLOAT, [1, 4])}, {"y": (FLOAT, [1, 4])}), CONFIG),
        C.GRAPH,
        FILE,
        "the fixed shape [1, 4]",
        "`max_batch_size: 0`",
    ),
    no_vision(
        "unknown-output",
        with_config('output { name: "y"', 'output { name: "yy"'),
        C.GRAPH,
        FILE,
        "'yy'",
        'write `name: "y"`',
    ),
    no_vision(
        "input-left-out",
        save(model([node("Add", "x other", "y")], {**X, "other": (FLOAT, ["batch", 4])}), CONFIG),
        C.GRAPH,
        FILE,
        "lacks the input 'other'",
        'add `input { name: "other" data_type: TYPE_FP32 dims: [4] }`',
    ),
    no_vision(
        "opset-of-the-future",
        save(model([node("Relu", "x", "y")], opset=999)),
        C.GRAPH,
        ONNX,
        "needs opset 999",
        "export it with opset",
    ),
    no_vision(
        "format-of-the-future", save(model([node("Relu", "x", "y")], ir=99)), C.GRAPH, ONNX, "99", "model.ir_version"
    ),
    no_vision(
        "a-number",
        save(model([node("ReduceSum", "x", "y", keepdims=0)], X, {"y": (FLOAT, [])})),
        C.GRAPH,
        ONNX,
        "'y' of '1/model.onnx' is a single number",
        "of the shape [1]",
    ),
    no_vision("unknown-operator", save(model([node("Rellu", "x", "y")])), C.GRAPH, ONNX, "'Rellu'", "did you mean"),
    no_vision(
        "operator-of-a-later-opset",
        save(model([node("Gelu", "x", "y")], opset=17)),
        C.GRAPH,
        ONNX,
        "Gelu, which came with opset 20",
        "export it with opset 20",
    ),
    no_vision(
        "operator-of-a-library",
        save(model([node("Tokenize", "x", "y", domain="com.example")], domains={"com.example": 1})),
        C.GRAPH,
        ONNX,
        "'com.example'",
        "ONNX's operators",
    ),
    no_vision("zipmap-that-is-wanted", _wants_the_map, C.GRAPH, ONNX, "a sequence", "options={'zipmap': False}"),
    no_vision(
        "brain-float", one("Abs", TensorProto.BFLOAT16, ["batch", 4]), C.GRAPH, ONNX, "BFLOAT16", "Triton cannot carry"
    ),
    no_vision(
        "a-name-that-nobody-gives",
        save(model([node("Relu", "z", "y")])),
        C.SMOKE,
        ONNX,
        "cannot be loaded",
        "export it again",
    ),
    no_vision(
        "a-product-that-does-not-fit",
        save(model([node("MatMul", "x weights", "y")], X, Y, weights={"weights": np.ones((5, 4), np.float32)})),
        C.SMOKE,
        ONNX,
        "export it again",
    ),
    no_vision(
        "types-that-do-not-fit",
        save(model([node("Add", "x one", "y")], weights={"one": np.array([1])})),
        C.SMOKE,
        ONNX,
        "cannot be loaded",
        "export it again",
    ),
    no_vision(
        "nodes-in-a-circle",
        save(model([node("Relu", "b", "a"), node("Relu", "a", "b"), node("Add", "x a", "y")])),
        C.SMOKE,
        ONNX,
        "cannot be loaded",
        "export it again",
    ),
    no_vision(
        "another-shape-than-it-says",
        save(model([node("Concat", "x x", "y", axis=1)], X, {"y": (FLOAT, ["batch", "any"])}), CONFIG),
        C.GRAPH,
        FILE,
        "a run of 1/model.onnx gives TYPE_FP32 [8]",
        "write `data_type: TYPE_FP32 dims: [8]`",
    ),
    no_vision(
        "fails-on-every-input",
        save(
            model(
                [node("Reshape", "x shape", "y")],
                {"x": (FLOAT, [1, 4])},
                {"y": (FLOAT, None)},
                weights={"shape": np.array([3])},
            ),
            CONFIG.replace("8", "0").replace("dims: [4] }\noutput", "dims: [1, 4] }\noutput"),
        ),
        C.SMOKE,
        ONNX,
        "export it again",
    ),
    no_vision("no-graph", save(model([], {}, {})), C.UNREADABLE, ONNX, "no graph", "export the model to ONNX"),
)
