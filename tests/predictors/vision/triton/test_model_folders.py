"""What can be seen of a model's folder before Triton is asked to load it."""

from pathlib import Path

import pytest

from predictors.vision.triton.model_folders import ModelFolders
from switchyard.rpc.v2 import name_fault

PYTHON = 'name: "a"\nbackend: "python"\n'

# the config or None, the files, and the fault
CASES = {
    "complete": (PYTHON, ["1/model.py"], ""),
    "no config": (None, ["1/model.py"], "its folder has no readable config.pbtxt"),
    "no version": (PYTHON, ["labels.txt", "one/model.py"], "its folder has no version"),
    "no file": (PYTHON, ["1/weights.bin"], "its folder has no 1/model.py"),
    "a new version without its file": (PYTHON, ["2/model.py", "10/weights.bin"], "its folder has no 10/model.py"),
    "versions that the config chooses": (PYTHON + "version_policy: { all {} }", ["2/model.py", "10/w.bin"], ""),
    "a file that the config names": (PYTHON + 'default_model_filename: "main.py"', ["1/main.py"], ""),
    "another backend": ('backend: "onnxruntime"', ["1/other.onnx"], ""),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    config, files, fault = CASES[name]
    (tmp_path / "a").mkdir()
    if config is not None:
        (tmp_path / "a" / "config.pbtxt").write_text(config)
    for file in files:
        (tmp_path / "a" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "a" / file).touch()
    said = ModelFolders(str(tmp_path)).fault("a")
    assert said.startswith(fault)
    assert bool(said) is bool(fault)


@pytest.mark.parametrize("root", ["", "."])
def test_a_name_that_triton_would_not_find_or_never_answer_is_named(root: str) -> None:
    assert ModelFolders(root).fault("my model").startswith("its name has ' '; rename its folder")
    assert ModelFolders(root).fault("naïve").startswith("its name has 'ï'")
    assert ModelFolders("").fault("A.b_c-d~1") == ""


def test_versions_are_the_numbered_folders_in_their_order(tmp_path: Path) -> None:
    for folder in ("10", "2", "x", ".3"):
        (tmp_path / "a" / folder).mkdir(parents=True)
    (tmp_path / "a" / "4").touch()
    assert ModelFolders(str(tmp_path)).versions("a") == ["2", "10"]


@pytest.mark.parametrize(("root", "name"), [("", "a"), ("/nowhere", "a"), (".", "../x"), (".", "."), (".", "..")])
def test_of_folders_that_cannot_be_read_here_nothing_is_said(root: str, name: str) -> None:
    folders = ModelFolders(root)
    assert (folders.fault(name), folders.versions(name)) == (name_fault(name), [])


def test_reasons_for_clients_have_paths_below_the_models_folder_and_no_others(tmp_path: Path) -> None:
    content = tmp_path / ".objects/vision/a/0123"
    (content / "1").mkdir(parents=True)
    root = tmp_path / "vision"
    root.mkdir()
    (root / "a").symlink_to(content)
    folders = ModelFolders(str(root))
    said = {
        f"{content}/1/sub/model.onnx failed:Protobuf": "1/sub/model.onnx failed:Protobuf",
        f"unable to open '{root}/a/config.pbtxt'": "unable to open 'config.pbtxt'",
        f"nothing is in {content}": "nothing is in the model's folder",
        "/opt/tritonserver/backends/python/stub: No such file": "stub: No such file",
        "in /elsewhere/b/2/model.py (7)": "in 2/model.py (7)",
        "ask http://127.0.0.1:8000/v2/x or /v2/models/a": "ask http://127.0.0.1:8000/v2/x or /v2/models/a",
        "expected [-1,4] and/or FP32": "expected [-1,4] and/or FP32",
    }
    assert {reason: folders.without_paths("a", reason) for reason in said} == said
    assert ModelFolders("").without_paths("a", "in /mnt/models/a/1/model.py") == "in 1/model.py"
