"""A newcomer's first model: exported from scikit-learn, added to a platform that runs, called, broken, removed."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from tests.live.platform import Platform
from tests.live.processes import DEADLINE, eventually, fetch

pytestmark = pytest.mark.live

IMAGES, LABELS = load_digits(return_X_y=True)
IMAGES = IMAGES.astype(np.float32)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that a data scientist has."""
    classifier = LogisticRegression(max_iter=2000).fit(IMAGES, LABELS)
    path = tmp_path_factory.mktemp("exported") / "digits.onnx"
    path.write_bytes(to_onnx(classifier, IMAGES[:1], options={"zipmap": False}).SerializeToString())
    return path


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform that runs in a project without any model."""
    folder = tmp_path_factory.mktemp("newcomer")
    for group in ("vision", "llm"):
        (folder / "project" / "model-repository" / group).mkdir(parents=True)
    platform = Platform(folder, window="600s", root=folder / "project")
    try:
        platform.up("--no-preload")
        yield platform
        platform.down()
    finally:
        platform.close()


def model(platform: Platform, *arguments: str, code: int = 0) -> str:
    """What ``switchyard model`` prints."""
    done = platform.command("model", *arguments)
    assert done.returncode == code, done.stdout + done.stderr + platform.logs()
    return done.stdout


def shown(platform: Platform, name: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(model(platform, "show", name, "--json"))
    return row


def test_a_classifier_is_added_called_broken_mended_and_removed(newcomer: Platform, exported: Path) -> None:
    folder = newcomer.root / "model-repository/vision/digits"
    assert "digits: it would be served" in model(newcomer, "check", str(exported))
    printed = model(newcomer, "add", str(exported))
    assert "digits: published" in printed

    line = next(line for line in printed.splitlines() if line.startswith("curl "))
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=DEADLINE, check=True)
    outputs = {output["name"] for output in json.loads(done.stdout)["outputs"]}
    assert outputs == {"label", "probabilities"}
    assert classified(newcomer) == LABELS[:8].tolist()
    assert (shown(newcomer, "digits")["phase"], folder.is_dir()) == ("published", True)

    for path in ("/v1/models", "/v2/models/digits", "/v2/models/digits/config", "/v2/models/digits/stats"):
        status, body = fetch(newcomer.url + path)
        assert (status, str(newcomer.root) in body.decode()) == (200, False), path

    good = (folder / "1/model.onnx").read_bytes()
    (folder / "1/model.onnx").write_bytes(good[: len(good) // 2])
    eventually(lambda: shown(newcomer, "digits")["phase"] == "failed", "the broken file is seen")
    sentence = shown(newcomer, "digits")["reason"]
    assert "1/model.onnx" in sentence
    assert sentence in model(newcomer, "list")
    eventually(lambda: sentence in newcomer.model("digits").get("reason", ""), "clients are told")
    assert classified(newcomer) == LABELS[:8].tolist()  # what was good is served on

    (folder / "1/model.onnx").write_bytes(good)
    eventually(lambda: shown(newcomer, "digits")["phase"] == "published", "the mended file is served")
    assert classified(newcomer) == LABELS[:8].tolist()

    assert model(newcomer, "remove", "digits", "--yes") == "digits: removed\n"
    assert not folder.exists()
    eventually(lambda: "digits" not in model(newcomer, "list", "--url", newcomer.url), "it is not listed any more")


def test_what_cannot_be_served_is_not_added(newcomer: Platform, exported: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    shutil.copytree(exported.parent, folder / "1")
    (folder / "1/digits.onnx").rename(folder / "1/model.onnx")
    (folder / "config.pbtxt").write_text('backend: "onnxruntime"\nmax_batch_size: no\n')
    checked = model(newcomer, "check", str(folder), code=1)
    assert "config.pbtxt" in checked
    assert model(newcomer, "add", str(folder), code=1) == checked
    assert not (newcomer.root / "model-repository/vision/odd").exists()


def test_a_file_beside_models_is_told_its_place_wherever_models_are_listed(newcomer: Platform, exported: Path) -> None:
    stray = newcomer.root / "model-repository/vision/cats.onnx"
    shutil.copyfile(exported, stray)
    told = "model-repository/vision/cats.onnx is no model: put it at model-repository/vision/cats/1/model.onnx."

    def index() -> str:
        return fetch(newcomer.url + "/v2/repository/index", {})[1].decode()

    eventually(lambda: told in index(), "the index has it")
    assert told in model(newcomer, "list")
    assert told in model(newcomer, "list", "--url", newcomer.url)
    stray.unlink()
    eventually(lambda: "cats" not in index(), "it is gone")
    assert "cats" not in model(newcomer, "list")


def classified(platform: Platform) -> list[int]:
    """What the model says of the first images, by Triton's client over gRPC."""
    with triton_grpc.InferenceServerClient(platform.grpc_target) as client:
        images = triton_grpc.InferInput("X", [8, 64], "FP32")
        images.set_data_from_numpy(IMAGES[:8])
        labels: list[int] = client.infer("digits", [images]).as_numpy("label").reshape(-1).tolist()
        return labels
