"""What one run of an ONNX model shows that reading it does not."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from switchyard.repository.judging import check
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository import onnx_models


def reshape_to(folder: Path, shape: list[int], *, width: int = 4) -> Path:
    """Write a model that fails at the run for inputs that do not fit ``shape``."""
    wanted = numpy_helper.from_array(np.array(shape, dtype=np.int64), "shape")
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=wanted),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    return onnx_models.save(folder, nodes, width=width)


def test_a_model_that_fails_on_its_own_input_is_not_served(tmp_path: Path) -> None:
    verdict = check(onnx_models.with_config(reshape_to(tmp_path / "digits", [3, 5])))
    assert verdict.facts is None
    assert verdict.faults[0].code is FaultCode.SMOKE
    assert verdict.faults[0].file == "1/model.onnx"
    assert str(tmp_path) not in verdict.sentence


def test_what_a_run_gives_must_be_what_the_config_says(tmp_path: Path) -> None:
    folder = onnx_models.with_config(reshape_to(tmp_path / "digits", [1, 2, 2]))
    verdict = check(folder)
    assert verdict.facts is None
    assert verdict.faults[0].code is FaultCode.GRAPH


def test_only_the_version_that_fails_is_left_out(tmp_path: Path) -> None:
    folder = onnx_models.relu(tmp_path / "digits")
    reshape_to(tmp_path / "broken", [3, 5])
    (tmp_path / "broken/1").rename(folder / "2")
    (folder / "config.pbtxt").write_text((folder / "config.pbtxt").read_text() + "version_policy { all {} }\n")
    verdict = check(folder)
    assert verdict.facts is not None
    assert verdict.facts.versions == ("1",)
    assert [(fault.code, fault.version) for fault in verdict.faults] == [(FaultCode.SMOKE, "2")]


def test_a_model_whose_sizes_only_its_author_knows_is_served_with_a_note(tmp_path: Path) -> None:
    folder = reshape_to(tmp_path / "digits", [-1, 111])
    (folder / "config.pbtxt").write_text(
        """backend: "onnxruntime"
input { name: "x" data_type: TYPE_FP32 dims: [-1, 4] }
output { name: "y" data_type: TYPE_FP32 dims: [-1, -1] }
"""
    )
    verdict = check(folder)
    assert verdict.faults == ()
    assert verdict.facts is not None
    assert "took none of the sizes" in verdict.facts.notes[-1]


def test_values_that_are_no_numbers_are_noted(tmp_path: Path) -> None:
    nodes = [helper.make_node("Neg", ["x"], ["less"]), helper.make_node("Log", ["less"], ["y"])]
    verdict = check(onnx_models.with_config(onnx_models.save(tmp_path / "digits", nodes)))
    assert verdict.faults == ()
    assert verdict.facts is not None
    assert "no numbers in 'y'" in verdict.facts.notes[-1]


def test_indices_are_tried_that_any_table_has(tmp_path: Path) -> None:
    folder, values = tmp_path / "digits", 4
    table = numpy_helper.from_array(np.ones((1, values), dtype=np.float32), "table")  # row 0 is the only one
    nodes = [
        helper.make_node("Constant", [], ["table"], value=table),
        helper.make_node("Cast", ["x"], ["rows"], to=TensorProto.INT64),
        helper.make_node("Mul", ["rows", "rows"], ["index"]),
        helper.make_node("Gather", ["table", "index"], ["y"], axis=0),
    ]
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.INT32, [None])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, values])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "1").mkdir(parents=True)
    (folder / "1/model.onnx").write_bytes(model.SerializeToString())
    (folder / "config.pbtxt").write_text(
        f"""backend: "onnxruntime"
input {{ name: "x" data_type: TYPE_INT32 dims: [-1] }}
output {{ name: "y" data_type: TYPE_FP32 dims: [-1, {values}] }}
"""
    )
    verdict = check(folder)
    assert verdict.faults == ()
    assert verdict.facts is not None
    assert verdict.facts.notes == ()


WARMUP = """
model_warmup {
  name: "digits"
  inputs { key: "x" value { data_type: TYPE_FP32 dims: [1, 37] %s } }
}
"""


@pytest.mark.parametrize("data", ["zero_data: true", "random_data: true", 'input_data_file: "digits"'])
@pytest.mark.parametrize("divisor", [37, 41])
def test_a_warm_up_sample_says_which_sizes_a_model_takes(data: str, divisor: int, tmp_path: Path) -> None:
    folder = reshape_to(tmp_path / "digits", [-1, divisor])
    (folder / "config.pbtxt").write_text(
        """backend: "onnxruntime"
input { name: "x" data_type: TYPE_FP32 dims: [-1, -1] }
output { name: "y" data_type: TYPE_FP32 dims: [-1, -1] }
"""
        + WARMUP % data
    )
    (folder / "warmup").mkdir()
    (folder / "warmup/digits").write_bytes(np.ones(37, dtype=np.float32).tobytes())
    graph = onnx.load(folder / "1/model.onnx")
    graph.graph.input[0].type.tensor_type.shape.dim[1].ClearField("dim_value")
    onnx.save(graph, folder / "1/model.onnx")
    verdict = check(folder)
    if divisor == 37:
        assert (verdict.faults, verdict.facts and verdict.facts.notes) == ((), ())
    else:
        assert verdict.faults[0].code is FaultCode.SMOKE
        assert "warm-up sample" in verdict.sentence


def test_a_model_of_texts_is_run_on_texts(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.STRING, [None, 1])],
        [helper.make_tensor_value_info("y", TensorProto.STRING, [None, 1])],
    )
    (folder / "1").mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "1/model.onnx").write_bytes(model.SerializeToString())
    verdict = check(folder)
    assert (verdict.faults, verdict.facts and verdict.facts.notes) == ((), ())


def test_a_locale_that_is_not_there_is_named_with_both_cures(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["words"]),
        helper.make_node("StringNormalizer", ["words"], ["low"], case_change_action="LOWER", locale="xx_YY.UTF-8"),
        one_hot("low", "known", **CATEGORIES),
        helper.make_node("Unsqueeze", ["known", "last"], ["y"]),
    ]
    weights = [numpy_helper.from_array(np.array([n]), name) for n, name in ((-1, "flat"), (2, "last"))]
    verdict = check(of_strings(tmp_path / "texts", nodes, 1, *weights))
    assert verdict.faults[0].code is FaultCode.SMOKE
    assert "needs the locale 'xx_YY.UTF-8', which this machine does not have: install it, or" in verdict.sentence
    assert "{'locale': 'C'}" in verdict.sentence


CATEGORIES = {"cats_strings": ["Rome", "Vienna"]}


def of_strings(folder: Path, nodes: list[onnx.NodeProto], width: int, *weights: onnx.TensorProto) -> Path:
    """Write a model of ``width`` texts, which gives ``y``."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.STRING, [None, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None, None])],
        list(weights),
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    (folder / "1").mkdir(parents=True)
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    (folder / "1/model.onnx").write_bytes(model.SerializeToString())
    return folder


def one_hot(given: str, gives: str, **categories: Any) -> onnx.NodeProto:
    return helper.make_node("OneHotEncoder", [given], [gives], domain="ai.onnx.ml", zeros=0, **categories)


def test_a_model_of_categories_is_tried_on_those_that_it_knows(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Gather", ["x", "second"], ["city"], axis=1),
        one_hot("city", "cities", **CATEGORIES),
        helper.make_node("Gather", ["x", "first"], ["color"], axis=1),
        one_hot("color", "colors", cats_strings=["red"]),
        helper.make_node("Concat", ["cities", "colors"], ["y"], axis=2),
    ]
    places = [numpy_helper.from_array(np.array([n]), name) for n, name in enumerate(("first", "second"))]
    verdict = check(of_strings(tmp_path / "towns", nodes, 2, *places))
    assert (verdict.faults, verdict.facts and verdict.facts.notes) == ((), ())


def test_a_model_that_takes_only_values_that_its_author_knows_is_served_with_a_note(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["x"], ["number"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["number", "last"], ["y"]),
    ]
    verdict = check(of_strings(tmp_path / "towns", nodes, 1, numpy_helper.from_array(np.array([2]), "last")))
    assert verdict.faults == ()
    assert verdict.facts is not None
    assert "its operator Cast takes none of the values" in verdict.facts.notes[-1]
    assert "model_warmup with a real sample" in verdict.facts.notes[-1]


def test_an_index_of_the_graph_s_own_that_is_out_of_range_is_a_fault(tmp_path: Path) -> None:
    beyond = numpy_helper.from_array(np.array([9]), "beyond")
    nodes = [
        helper.make_node("Constant", [], ["beyond"], value=beyond),
        helper.make_node("Gather", ["x", "beyond"], ["y"], axis=1),
    ]
    verdict = check(onnx_models.with_config(onnx_models.save(tmp_path / "digits", nodes)))
    assert verdict.facts is None
    assert verdict.faults[0].code is FaultCode.SMOKE
