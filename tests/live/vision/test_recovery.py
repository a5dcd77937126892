"""A model that cannot be loaded works again once the cause is gone, while Triton and the predictor go on running."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.live.processes import fetch
from tests.live.vision.asking import echo
from tests.live.vision.processes import Triton, Vision, write_echo

pytestmark = pytest.mark.live

NAME = "copied"
AGAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Cause:
    """How a whole folder is broken, and a part of the sentence that clients get."""

    damage: Callable[[Path], object]
    sentence: str
    status: int = 503


def replace(file: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        path = folder / file
        path.write_text(path.read_text().replace(old, new))

    return change


CAUSES = {
    "no folder": Cause(shutil.rmtree, "the repository has no model", 404),
    "no config": Cause(lambda folder: (folder / "config.pbtxt").unlink(), "its folder has no readable config.pbtxt"),
    "no version": Cause(lambda folder: shutil.rmtree(folder / "1"), "its folder has no version"),
    "no code": Cause(lambda folder: (folder / "1" / "model.py").unlink(), "its folder has no 1/model.py"),
    # Triton lists a model no more once it has found none of the versions that the config wants.
    "no such version": Cause(
        replace("config.pbtxt", "backend", "version_policy { specific { versions: [2] } }\nbackend"),
        "at least one version must be available",
    ),
    "a wrong field": Cause(replace("config.pbtxt", "input", "inptu"), "config.pbtxt"),
    "a wrong name": Cause(replace("config.pbtxt", "backend", 'name: "other"\nbackend'), "'other'"),
    "a wrong type": Cause(replace("config.pbtxt", "TYPE_FP32", "TYPE_INVALID"), "model input"),
    "code that fails": Cause(replace("1/model.py", "pass", "raise ValueError('no weights')"), "no weights"),
}


@pytest.fixture
def whole(tmp_path: Path, triton: Triton) -> Iterator[Path]:
    """A whole folder; the test puts damaged copies of it into the repository."""
    write_echo(tmp_path / NAME)
    yield tmp_path / NAME
    shutil.rmtree(triton.repository / NAME, ignore_errors=True)


def put(folder: Path, triton: Triton) -> None:
    target = triton.repository / NAME
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)


@pytest.mark.parametrize("name", CAUSES)
def test_a_model_works_again_once_its_folder_is_right(vision: Vision, triton: Triton, whole: Path, name: str) -> None:
    cause = CAUSES[name]
    put(whole, triton)
    cause.damage(triton.repository / NAME)
    for _ in range(2):  # it fails, and it still fails
        status, body = echo(vision, 1, model=NAME)
        assert (status, cause.sentence in body["error"]) == (cause.status, True), body
        assert fetch(f"{vision.url}/v2/models/{NAME}/ready")[0] == cause.status
    put(whole, triton)
    began = sent = time.monotonic()
    while (answer := echo(vision, 1, model=NAME))[0] != 200:
        time.sleep(0.1)
        sent = time.monotonic()
        assert sent - began < AGAIN_SECONDS, answer
    assert fetch(f"{vision.url}/v2/models/{NAME}/ready")[0] == 200
    assert fetch(f"{vision.url}/v2/repository/models/{NAME}/unload", {})[0] == 200
