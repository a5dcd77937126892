"""Folders that are served, and what is said of them."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from switchyard.repository.triton.schema import parse
from switchyard.repository.verdict import Facts, Tensor
from tests.switchyard.repository.triton.folders import CONFIG, PYTHON, PYTHON_CONFIG, Files, graph, judged, write

ROOT = Path(__file__).parents[4]


def facts(folder: Path, **surroundings: object) -> Facts:
    inspection = judged(folder, **surroundings)
    assert inspection.faults == ()
    assert inspection.facts is not None
    return inspection.facts


def test_a_whole_folder_is_served_as_it_is(tmp_path: Path) -> None:
    found = facts(write(tmp_path / "digits", {"config.pbtxt": CONFIG, "1/model.onnx": graph()}))
    assert (found.format, found.kind, found.versions, found.max_batch_size) == ("onnx", "vision", ("1",), 8)
    assert found.inputs == (Tensor(name="x", datatype="FP32", shape=(-1, 4)),)
    assert found.outputs == (Tensor(name="y", datatype="FP32", shape=(-1, 4)),)
    assert found.config == ""
    assert found.memory.weights == len(graph())


def test_the_models_that_the_project_has_are_served() -> None:
    vision = ROOT / "model-repository" / "vision"
    models = {folder.name: facts(folder) for folder in vision.iterdir() if folder.name != "ocr"}
    assert len(models) == 4
    assert facts(vision / "ocr", models=models).steps == tuple(sorted(models))
    assert models["image-decode"].inputs[1].optional


def test_a_graph_alone_is_served_in_batches_if_every_first_dimension_is_free(tmp_path: Path) -> None:
    found = facts(write(tmp_path / "digits", {"1/model.onnx": graph()}))
    config = parse(found.config)
    assert config.backend == "onnxruntime"
    assert (config.max_batch_size, config.HasField("dynamic_batching")) == (32, True)
    assert found.inputs == (Tensor(name="x", datatype="FP32", shape=(-1, 4)),)


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        ({"x": (TensorProto.FLOAT, (1, 4))}, "one is fixed"),
        ({"x": (TensorProto.FLOAT, ("rows", 4)), "z": (TensorProto.FLOAT, ("columns", 4))}, "they are different sizes"),
    ],
)
def test_a_graph_alone_is_served_without_batches_otherwise(
    tmp_path: Path, inputs: dict[str, tuple[int, tuple[int | str, ...]]], why: str
) -> None:
    found = facts(write(tmp_path / "digits", {"1/model.onnx": graph(inputs=inputs)}))
    assert found.max_batch_size == 0, why
    assert found.inputs[0].shape == (1 if "z" not in inputs else -1, 4)


def test_a_number_for_each_row_is_described_by_a_reshape(tmp_path: Path) -> None:
    outputs = {"label": (TensorProto.INT64, (None,)), "y": (TensorProto.FLOAT, (None, 3))}
    found = facts(write(tmp_path / "digits", {"1/model.onnx": graph(outputs=outputs)}))
    assert found.outputs[0] == Tensor(name="label", datatype="INT64", shape=(-1, 1))
    assert parse(found.config).output[0].HasField("reshape")


def test_a_partial_config_is_kept_and_completed(tmp_path: Path) -> None:
    labels = 'output { name: "y" label_filename: "labels.txt" }'
    config = labels + ' parameters { key: "scale" value { string_value: "1" } }'
    files: Files = {"config.pbtxt": config, "labels.txt": "a\nb\nc\nd\n", "1/model.onnx": graph()}
    found = facts(write(tmp_path / "digits", files))
    completed = parse(found.config)
    assert completed.output[0].label_filename == "labels.txt"
    assert list(completed.output[0].dims) == [4]
    assert completed.parameters["scale"].string_value == "1"
    assert facts(write(tmp_path / "digits", {"config.pbtxt": found.config})).config == ""


def test_what_triton_cannot_carry_is_left_out_and_said(tmp_path: Path) -> None:
    row = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, ()))
    maps = helper.make_value_info("maps", helper.make_sequence_type_proto(row))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, (None, 4))]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, (None, 4)), maps]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    nodes.append(helper.make_node("ZipMap", ["x"], ["maps"], domain="ai.onnx.ml"))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs), opset_imports=opsets, ir_version=8)
    found = facts(write(tmp_path / "digits", {"1/model.onnx": model.SerializeToString()}))
    assert [tensor.name for tensor in found.outputs] == ["y"]
    (note,) = found.notes
    assert note.startswith("The output 'maps' is left out: it is a sequence, which Triton cannot carry")
    assert "options={'zipmap': False}" in note


def test_constants_that_are_listed_as_inputs_are_none(tmp_path: Path) -> None:
    inputs = {"x": (TensorProto.FLOAT, (None, 4)), "w": (TensorProto.FLOAT, (1,))}
    made = graph(inputs=inputs, initializer=[helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])])
    found = facts(write(tmp_path / "digits", {"1/model.onnx": made}))
    assert [tensor.name for tensor in found.inputs] == ["x"]


def test_weights_may_lie_beside_the_graph(tmp_path: Path) -> None:
    weights = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0] * 4)
    weights.ClearField("float_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in {"location": "model.data", "offset": "0", "length": "16"}.items():
        weights.external_data.add(key=key, value=value)
    files = {"1/model.onnx": graph(initializer=[weights]), "1/model.data": bytes(16)}
    found = facts(write(tmp_path / "digits", files))
    assert found.memory.weights == len(files["1/model.onnx"]) + 16


def test_a_model_in_python_is_read_and_not_run(tmp_path: Path) -> None:
    code = PYTHON + '\nraise RuntimeError("this was run")\n'
    found = facts(write(tmp_path / "echo", {"config.pbtxt": PYTHON_CONFIG, "1/model.py": code}))
    assert (found.format, found.versions) == ("python", ("1",))


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        ("", ("10",)),
        ("version_policy { latest { num_versions: 2 } }", ("2", "10")),
        ("version_policy { all { } }", ("1", "2", "10")),
        ("version_policy { specific { versions: [1, 10] } }", ("1", "10")),
    ],
)
def test_the_policy_says_which_versions_are_served(tmp_path: Path, policy: str, served: tuple[str, ...]) -> None:
    files = {f"{version}/model.onnx": graph() for version in (1, 2, 10)}
    found = facts(write(tmp_path / "digits", {"config.pbtxt": CONFIG + policy, **files}))
    assert found.versions == served


def test_a_broken_newest_version_leaves_the_one_before_it(tmp_path: Path) -> None:
    files: Files = {"config.pbtxt": CONFIG, "1/model.onnx": graph(), "2/model.onnx": b"not a graph"}
    inspection = judged(write(tmp_path / "digits", files))
    assert inspection.facts is not None
    assert inspection.facts.versions == ("1",)
    assert [(fault.version, fault.file) for fault in inspection.faults] == [("2", "2/model.onnx")]


def classifiers() -> dict[str, object]:
    """How people make tables into classifiers, each trained on forty rows."""
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from xgboost import XGBClassifier

    return {
        "logistic": LogisticRegression(),
        "forest": RandomForestClassifier(n_estimators=3),
        "lightgbm": LGBMClassifier(n_estimators=3, verbose=-1, min_child_samples=2),
        "xgboost": XGBClassifier(n_estimators=3),
    }


def exported(model: object, rows: np.ndarray) -> bytes:
    from onnxmltools import convert_lightgbm, convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType
    from skl2onnx import to_onnx

    kind, types = type(model).__name__, [("x", FloatTensorType([None, rows.shape[1]]))]
    if kind == "LGBMClassifier":
        return bytes(convert_lightgbm(model, initial_types=types, zipmap=False, target_opset=15).SerializeToString())
    if kind == "XGBClassifier":
        return bytes(convert_xgboost(model, initial_types=types, target_opset=15).SerializeToString())
    return bytes(to_onnx(model, rows[:1], options={"zipmap": False}).SerializeToString())


@pytest.mark.parametrize("kind", ["logistic", "forest", "lightgbm", "xgboost"])
def test_exports_of_ordinary_packages_need_no_config(tmp_path: Path, kind: str) -> None:
    random = np.random.default_rng(0)
    rows = random.random((40, 5)).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = classifiers()[kind]
        model.fit(rows, np.arange(40) % 3)  # type: ignore[attr-defined]
        content = exported(model, rows)
    found = facts(write(tmp_path / kind, {"1/model.onnx": content}))
    assert [(tensor.datatype, tensor.shape) for tensor in found.inputs] == [("FP32", (-1, 5))]
    assert (found.outputs[1].datatype, found.outputs[1].shape) == ("FP32", (-1, 3))
    # LightGBM's converter says that there is one label, whatever the rows.
    batches = kind != "lightgbm"
    assert found.max_batch_size == (32 if batches else 0)
    assert [note.partition(":")[0] for note in found.notes] == ([] if batches else ["Requests are not batched"])
