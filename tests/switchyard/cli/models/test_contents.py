"""What a folder or file is taken for, before anybody reads it."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from switchyard.cli.models.contents import as_folder, name_of, require_group
from switchyard.cli.models.errors import ModelError
from switchyard.repository.placement.layout import paths_below


@pytest.mark.parametrize(
    ("paths", "group"),
    [
        (["1", "1/model.onnx"], "vision"),
        (["config.pbtxt"], "vision"),  # an ensemble
        (["model.onnx"], "vision"),  # the judge says where it belongs
        (["config.json", "model.safetensors"], "llm"),
        (["config.json", "model.safetensors", "onnx/model.onnx"], "llm"),  # as sentence-transformers are published
        (["config.json", "pytorch_model.bin"], "llm"),  # the judge says that it is a pickle
        (["config.json", "config.pbtxt", "1/model.py"], "vision"),
    ],
)
def test_the_names_of_files_tell_the_group(paths: list[str], group: str) -> None:
    assert require_group(paths, "here") == group


@pytest.mark.parametrize("paths", [[], ["README.md"], ["weights.bin", "src/model.py"]])
def test_what_looks_like_no_model_is_said_with_what_one_has(paths: list[str]) -> None:
    with pytest.raises(ModelError, match=r"here is neither a vision model.*config.json and"):
        require_group(paths, "here")


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["digits.zip", "README.md"], "here has 'digits.zip', and archives are not unpacked: unpack it there"),
        (["digits", "digits/1", "notes.txt"], "here is no model, but has some in it: name here/digits"),
        (["chat", "chat/config.json"], "here is no model, but has some in it: name here/chat"),
    ],
)
def test_a_folder_around_a_model_leads_to_it(paths: list[str], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        require_group(paths, "here")


def test_two_levels_of_a_folder_are_looked_at_and_no_hidden_one(tmp_path: Path) -> None:
    for path in ("1/model.onnx", "1/deep/er", ".git/HEAD", "config.pbtxt"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert sorted(paths_below(tmp_path)) == ["1", "1/deep", "1/model.onnx", "config.pbtxt"]


def test_one_onnx_file_becomes_the_first_version_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "digits.onnx").write_bytes(b"graph")
    with as_folder(tmp_path / "digits.onnx") as folder:
        assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")] == ["1/model.onnx"]
        assert (folder / "1/model.onnx").read_bytes() == b"graph"
    assert not folder.exists()


def with_weights_beside(path: Path, location: str) -> Path:
    """Write a graph that adds weights from a file."""
    weights = numpy_helper.from_array(np.ones(1024, dtype=np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "weights"], ["y"])],
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1024])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1024])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.parent.mkdir(exist_ok=True)
    onnx.save(model, path, save_as_external_data=True, location=location)
    return path


def test_weights_that_a_file_has_beside_it_come_with_it(tmp_path: Path) -> None:
    path = with_weights_beside(tmp_path / "here/net.onnx", "net.onnx.data")
    (tmp_path / "here/other.data").touch()
    with as_folder(path) as folder:
        assert sorted(each.name for each in (folder / "1").iterdir()) == ["model.onnx", "net.onnx.data"]
        assert (folder / "1/net.onnx.data").read_bytes() == (tmp_path / "here/net.onnx.data").read_bytes()
    assert (tmp_path / "here/net.onnx.data").stat().st_size == 4096


def test_weights_elsewhere_or_away_are_for_the_judge_to_say(tmp_path: Path) -> None:
    path = with_weights_beside(tmp_path / "here/net.onnx", "net.data")
    (tmp_path / "here/net.data").rename(tmp_path / "net.data")
    moved = onnx.load(path, load_external_data=False)
    for location in ("net.data", "../net.data", str(tmp_path / "net.data")):
        moved.graph.initializer[0].external_data[0].value = location
        path.write_bytes(moved.SerializeToString())
        with as_folder(path) as folder:
            assert [each.name for each in (folder / "1").iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent", "does not exist"),
        ("notes.txt", r"no file \*.onnx: name the folder of the model"),
        ("digits.zip", "unpack it, and name the folder of the model that comes out"),
        ("digits.ONNX", r"rename it, so that it ends in \.onnx"),
        ("digits.pkl", "export the model to ONNX and name that file"),
        ("config.pbtxt", "name the folder that has it with the rest of its model"),
        ("model.safetensors", "name the folder that has it with the rest of its model"),
    ],
)
def test_other_files_are_no_models(tmp_path: Path, name: str, words: str) -> None:
    if name != "absent":
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=words), as_folder(tmp_path / name):
        pass


@pytest.mark.parametrize(
    ("place", "name"),
    [("models/digits", "digits"), ("digits/", "digits"), ("a/digits.onnx", "digits"), ("owner/Qwen2.5", "Qwen2.5")],
)
def test_a_model_is_called_as_its_folder_or_file(place: str, name: str) -> None:
    assert name_of(place) == name


@pytest.mark.parametrize("place", ["model.onnx", "a/1", "/", ""])
def test_a_name_that_says_nothing_is_asked_for(place: str) -> None:
    with pytest.raises(ModelError, match="--name NAME"):
        name_of(place)
