"""Who follows docs/how-to/add-a-vision-model.md gets models that are served as they are exported."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from switchyard.repository.inspection import Surroundings
from switchyard.repository.triton.inspector import inspect
from tests.docs.following import blocks
from tests.docs.test_how_to import HOW_TO

PAGE = HOW_TO / "add-a-vision-model.md"


def run(folder: Path, *command: str) -> str:
    """Run a command of the page in an empty folder; return what it prints."""
    root = str(Path(__file__).parents[2])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": root, "PATH": path, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def commands(*words: str) -> list[list[str]]:
    """The command lines of the page with all of these words."""
    texts = [block.text for block in blocks(PAGE) if block.language == "sh"]
    return [line.split() for text in texts for line in text.splitlines() if all(word in line for word in words)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page's scripts were run."""
    folder = tmp_path_factory.mktemp("scripts")
    scripts = [block for block in blocks(PAGE) if block.language == "python" and block.file and "/" not in block.file]
    assert len(scripts) == 3
    for script in scripts:
        (folder / script.file).write_text(script.text)
        run(folder, sys.executable, script.file)
    return folder


def checked(folder: Path, command: list[str]) -> str:
    assert command[0] == "switchyard"
    return run(folder, sys.executable, "-m", "switchyard.cli", *command[1:])


@pytest.mark.parametrize("command", commands(".onnx", "model check"), ids=lambda command: command[-1])
def test_what_a_script_exports_is_served_in_batches(exported: Path, command: list[str]) -> None:
    printed = checked(exported, command)
    assert "it would be served" in printed
    assert "max_batch_size: 32" in printed


def test_copied_as_the_page_says_it_is_a_model_with_two_versions_until_it_is_removed(exported: Path) -> None:
    model, served = exported / "model-repository/vision/digits", []
    for line in (*commands("mkdir -p"), *commands("cp ")):
        run(exported, *line)
    inspection = inspect(model, Surroundings())
    assert inspection.facts is not None
    served.append(inspection.facts.versions)
    run(exported, "rm", "-r", str(model / "2"))
    inspection = inspect(model, Surroundings())
    assert inspection.facts is not None
    served.append(inspection.facts.versions)
    assert served == [("2",), ("1",)]
    (away,) = commands("rm -r")
    run(exported, *away)
    assert not model.exists()


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed here")
def test_pytorch_exports_as_the_page_says_without_another_package(tmp_path: Path) -> None:
    (call,) = [block.text for block in blocks(PAGE) if block.text.startswith("torch.onnx.export")]
    layers = "torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 2)"
    run(tmp_path, sys.executable, "-c", f"import torch\nmodel = torch.nn.Sequential({layers}).eval()\n{call}")
    assert "max_batch_size: 32" in checked(tmp_path, ["switchyard", "model", "check", "cat-or-dog.onnx"])


def test_the_values_of_the_page_are_a_row_of_the_model_s_input() -> None:
    (command,) = [block.text for block in blocks(PAGE) if block.text.startswith("python -c")]
    assert len(json.loads(run(HOW_TO, "bash", "-ec", command))) == 64


def test_the_model_in_python_and_the_ensemble_are_served_with_the_first_one(exported: Path, tmp_path: Path) -> None:
    made = {block.file: block.text for block in blocks(PAGE) if "/" in block.file}
    assert len(made) == 3
    for file, text in made.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    digits = tmp_path / "model-repository/vision/digits/1"
    digits.mkdir(parents=True)
    shutil.copy(exported / "digits.onnx", digits / "model.onnx")
    (versions,), (check,) = commands("mkdir model"), commands("model check model-repository")
    run(tmp_path, *versions)
    assert "calls       digits, best" in checked(tmp_path, check)
