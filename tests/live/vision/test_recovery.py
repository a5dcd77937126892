"""A model that cannot be loaded works again once the cause is gone, while Triton and the predictor go on running."""

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.live.processes import fetch
from tests.live.vision.asking import echo
from tests.live.vision.processes import Triton, Vision, write_echo

pytestmark = pytest.mark.live

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
def whole(tmp_path: Path) -> Path:
    """A whole folder; the test puts copies of it into the repository."""
    write_echo(tmp_path / "whole")
    return tmp_path / "whole"


def put(whole: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(whole, folder)


@pytest.mark.parametrize("name", CAUSES)
def test_a_model_works_again_once_its_folder_is_right(vision: Vision, triton: Triton, whole: Path, name: str) -> None:
    cause, model = CAUSES[name], name.replace(" ", "-")
    folder = triton.repository / model
    put(whole, folder)
    cause.damage(folder)
    for _ in range(2):  # it fails, and it still fails
        status, body = echo(vision, 1, model=model)
        assert (status, cause.sentence in body["error"]) == (cause.status, True), body
        assert fetch(f"{vision.url}/v2/models/{model}/ready")[0] == cause.status
    index = json.loads(fetch(f"{vision.url}/v2/repository/index", {})[1])
    rows = [(row.get("state"), cause.sentence in row.get("reason", "")) for row in index if row["name"] == model]
    assert rows == ([] if cause.status == 404 else [("UNAVAILABLE", True)])
    put(whole, folder)
    began = sent = time.monotonic()
    while (answer := echo(vision, 1, model=model))[0] != 200:
        time.sleep(0.1)
        sent = time.monotonic()
        assert sent - began < AGAIN_SECONDS, answer
    assert fetch(f"{vision.url}/v2/models/{model}/ready")[0] == 200
    assert fetch(f"{vision.url}/v2/models/{model}/versions/1/ready")[0] == 200
    assert fetch(f"{vision.url}/v2/models/{model}/versions/9/ready")[0] == 404
    assert fetch(f"{vision.url}/v2/repository/models/{model}/unload", {})[0] == 200
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["my model", "semi;colon", "a+b", "50%", "naïve"])
def test_a_name_that_no_path_holds_is_said_to_be_one_and_harms_nobody(
    name: str, whole: Path, triton: Triton, vision: Vision
) -> None:
    folder = triton.repository / name
    shutil.copytree(whole, folder)
    began = time.monotonic()
    status, error = echo(vision, 1, model=quote(name))
    assert (status, error["code"], "rename its folder" in error["error"]) == (503, "model_failed", True)
    rows = {row["name"]: row for row in json.loads(fetch(f"{vision.url}/v2/repository/index", {})[1])}
    assert (rows[name]["state"], "rename its folder" in rows[name]["reason"]) == ("UNAVAILABLE", True)
    assert echo(vision, 1)[0] == 200
    assert time.monotonic() - began < 5  # Triton 2.51 never answers a request for some of them
    shutil.rmtree(folder)
