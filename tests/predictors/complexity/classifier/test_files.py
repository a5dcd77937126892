import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from predictors.complexity.classifier import files
from predictors.complexity.classifier.files import ModelFileError
from predictors.complexity.classifier.tokens import Text
from tests.predictors.complexity.conftest import MODELS

PRIOR, DEMO = MODELS / "prior.safetensors", MODELS / "demo.safetensors"
TEXT = Text.of("Ana has 12 pens. She buys 30 more. How many pens does she have?")


def metadata(path: Path) -> dict[str, str]:
    """The header's metadata, read by hand from the bytes."""
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    found: dict[str, str] = header["__metadata__"]
    return found


def described(path: Path) -> dict[str, object]:
    """What a file says of itself."""
    found: dict[str, object] = json.loads(metadata(path)["switchyard"])
    return found


def test_a_model_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    prior = files.load(PRIOR)
    demo = files.load(DEMO, prior)
    files.save(prior, tmp_path / "prior", "note")
    files.save(demo, tmp_path / "demo", "note")
    again = files.load(tmp_path / "demo", files.load(tmp_path / "prior"))

    assert again.judge(TEXT).score == demo.judge(TEXT).score
    assert described(tmp_path / "demo")["note"] == "note"


def test_a_shipped_file_says_from_what_it_was_trained() -> None:
    assert str(described(PRIOR)["note"]).startswith("mmlu 1477, ")
    assert str(described(DEMO)["note"]).startswith("demo ")


def test_a_domain_needs_its_prior_and_a_prior_none() -> None:
    with pytest.raises(ModelFileError, match="needs a prior"):
        files.load(DEMO)
    with pytest.raises(ModelFileError, match="is a prior"):
        files.load(PRIOR, files.load(PRIOR))


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_what_is_no_model_is_reported(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)

    with pytest.raises(ModelFileError, match="file"):
        files.load(tmp_path / "file")


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        files.load(tmp_path / "none")


@pytest.mark.parametrize(
    "name",
    ["terms", "heads", "wrong.line", "gain.feature", "weights", "idf", "wrong.leaf", "gain.numbers", "heuristic"],
)
def test_a_file_whose_parts_do_not_fit_is_reported(tmp_path: Path, name: str) -> None:
    tensors = load_file(PRIOR)
    for broken in ({key: value for key, value in tensors.items() if key != name}, tensors | {name: tensors[name][:1]}):
        save_file(
            {key: np.ascontiguousarray(value) for key, value in broken.items()}, tmp_path / "file", metadata(PRIOR)
        )
        with pytest.raises(ModelFileError, match="is broken"):
            files.load(tmp_path / "file")
