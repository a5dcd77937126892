from pathlib import Path

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from benchmarks.repository.drop import make_project
from benchmarks.repository.models import WIDTH, write_chat, write_onnx
from switchyard.repository.judging import check


def test_a_network_says_which_content_it_is_and_has_10_mb(tmp_path: Path) -> None:
    folder = write_onnx(tmp_path / "means", 7)
    assert 10e6 < (folder / "1/model.onnx").stat().st_size < 11e6
    network = ReferenceEvaluator(onnx.load(folder / "1/model.onnx"))
    outputs = network.run(["y"], {"x": np.zeros((1, WIDTH), dtype=np.float32)})
    assert np.asarray(list(outputs))[0, 0, 0] == 7
    assert check(folder).faults == ()


def test_the_chat_model_is_a_good_one_under_another_name(tmp_path: Path) -> None:
    assert check(write_chat(tmp_path / "assistant")).faults == ()


def test_a_project_has_the_code_of_this_one_and_no_models(tmp_path: Path) -> None:
    project = make_project(tmp_path)
    assert (project / "predictors/llm/__init__.py").is_file()
    assert list((project / "model-repository/vision").iterdir()) == []
