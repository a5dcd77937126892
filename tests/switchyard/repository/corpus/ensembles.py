"""Ensembles: a flower's measures are normalized, classified and labeled, by one model each; and broken ones."""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto

from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository.corpus.case import Build, Case, no_vision, vision
from tests.switchyard.repository.corpus.graphs import INT64, Tensors, model, node, put, save

CONFIG = """platform: "ensemble"
max_batch_size: 32
input { name: "measures" data_type: TYPE_FP32 dims: [4] }
output { name: "label" data_type: TYPE_STRING dims: [1] }
ensemble_scheduling {
  step { model_name: "normalize" model_version: -1
    input_map { key: "x" value: "measures" } output_map { key: "y" value: "normal" } }
  step { model_name: "classify" model_version: -1
    input_map { key: "x" value: "normal" } output_map { key: "y" value: "class" } }
  step { model_name: "label" model_version: -1
    input_map { key: "x" value: "class" } output_map { key: "y" value: "label" } }
}
"""
CLASSES = ("setosa", "versicolor", "virginica")


def _normalize() -> Any:
    nodes = [node("Sub", "x mean", "centered"), node("Div", "centered spread", "y")]
    mean, spread = np.array([[5.8, 3.1, 3.8, 1.2], [0.8, 0.4, 1.8, 0.8]], np.float32)
    return model(nodes, weights={"mean": mean, "spread": spread})


def _classify() -> Any:
    nodes = [node("MatMul", "x weights", "scores"), node("ArgMax", "scores", "y", axis=1)]
    weights = np.array([[-1, 0, 1], [1, -1, 0], [-2, 0, 2], [-2, 0, 2]], np.float32)
    return model(nodes, outputs={"y": (INT64, ["batch", 1])}, weights={"weights": weights})


def _label() -> Any:
    lookup = node("LabelEncoder", "x", "y", domain="ai.onnx.ml", keys_int64s=[0, 1, 2], values_strings=list(CLASSES))
    outputs: Tensors = {"y": (TensorProto.STRING, ["batch", 1])}
    return model([lookup], {"x": (INT64, ["batch", 1])}, outputs, domains={"ai.onnx.ml": 3})


def _ensemble(*changes: tuple[str, str], version: bool = True) -> Build:
    def build(folder: Path) -> None:
        config = CONFIG
        for old, new in changes:
            assert old in config, old
            config = config.replace(old, new, 1)
        put(folder, "config.pbtxt", config)
        if version:
            (folder / "1").mkdir()

    return build


def _calls(name: str) -> Build:
    """An ensemble that only calls the model ``name``."""

    def build(folder: Path) -> None:
        put(
            folder,
            "config.pbtxt",
            'platform: "ensemble"\nmax_batch_size: 8\n'
            'input { name: "x" data_type: TYPE_FP32 dims: [4] }\noutput { name: "y" data_type: TYPE_FP32 dims: [4] }\n'
            f'ensemble_scheduling {{ step {{ model_name: "{name}" model_version: -1 '
            'input_map { key: "x" value: "x" } output_map { key: "y" value: "y" } } }\n',
        )

    return build


def _circle(folder: Path) -> None:
    """Two steps, each of which takes what the other gives."""
    steps = "".join(
        f'step {{ model_name: "normalize" model_version: -1 input_map {{ key: "x" value: "{one}" }} '
        f'output_map {{ key: "y" value: "{other}" }} }}\n'
        for one, other in (("there", "back"), ("back", "there"))
    )
    head = CONFIG.partition("ensemble_scheduling")[0]
    head = head.replace('"label" data_type: TYPE_STRING dims: [1]', '"back" data_type: TYPE_FP32 dims: [4]')
    put(folder, "config.pbtxt", f"{head}ensemble_scheduling {{ {steps} }}")


E, FILE = FaultCode.ENSEMBLE, "config.pbtxt"

CASES: tuple[Case, ...] = (
    vision("normalize", save(_normalize())),
    vision("classify", save(_classify())),
    vision("label", save(_label())),
    vision("flowers", _ensemble()),
    vision("flowers-without-a-version", _ensemble(version=False)),
    vision("flowers-by-class", _ensemble(('"label" data_type: TYPE_STRING', '"class" data_type: TYPE_INT64'))),
    no_vision("calls-nobody", _ensemble(('"classify"', '"clasify"')), E, FILE, "'clasify'", "write 'classify'"),
    no_vision("calls-a-stranger", _calls("zebra"), E, FILE, "'zebra'", "copy its folder too"),
    no_vision("calls-itself", _calls("calls-itself"), E, FILE, "call itself", "take it out of the steps"),
    no_vision("circle-one", _calls("circle-two"), E, FILE, "'circle-two'"),
    no_vision("circle-two", _calls("circle-one"), E, FILE, "'circle-one'"),
    no_vision(
        "takes-what-is-not-given",
        _ensemble(('key: "y" value: "normal"', 'key: "z" value: "normal"')),
        E,
        FILE,
        "'z' from step 1 ('normalize')",
        "correct the output_map",
    ),
    no_vision(
        "gives-what-is-not-taken",
        _ensemble(('key: "x" value: "normal"', 'key: "z" value: "normal"')),
        E,
        FILE,
        "step 2 ('classify')",
        "the key 'z'",
        "correct the key",
    ),
    no_vision(
        "gives-what-nobody-has",
        _ensemble(('key: "x" value: "normal"', 'key: "x" value: "normed"')),
        E,
        FILE,
        "'normed' to step 2",
        "correct the name",
    ),
    no_vision(
        "another-type",
        _ensemble(('key: "x" value: "class"', 'key: "x" value: "normal"')),
        E,
        FILE,
        "step 3 ('label') takes 'x' as INT64 [-1, 1], but 'y' of step 1 ('normalize') is FP32 [-1, 4]",
        "make them the same",
    ),
    no_vision(
        "another-result",
        _ensemble(('"label" data_type: TYPE_STRING dims: [1]', '"label" data_type: TYPE_STRING dims: [3]')),
        E,
        FILE,
        "the output 'label' as BYTES [-1, 3]",
        "make them the same",
    ),
    no_vision(
        "a-result-of-nobody",
        _ensemble(('output { name: "label"', 'output { name: "word"')),
        E,
        FILE,
        "the output 'word', which is in no output_map",
        "add it to one of a step",
    ),
    no_vision(
        "an-old-version",
        _ensemble(('"classify" model_version: -1', '"classify" model_version: 7')),
        E,
        FILE,
        "version 7 in step 2 ('classify'), which has '1'",
        "`model_version: -1`",
    ),
    no_vision(
        "larger-batches", _ensemble(("max_batch_size: 32", "max_batch_size: 64")), E, FILE, "takes 32", "write 32"
    ),
    no_vision(
        "filled-twice",
        _ensemble(('key: "y" value: "class"', 'key: "y" value: "normal"')),
        E,
        FILE,
        "fills 'normal' twice",
        "write another name",
    ),
    no_vision("steps-in-a-circle", _circle, E, FILE, "circle", "take one out"),
    no_vision(
        "no-steps",
        lambda folder: put(folder, FILE, CONFIG.partition("ensemble_scheduling")[0]),
        E,
        FILE,
        "without a step",
        "add ensemble_scheduling",
    ),
)
