"""What lies beside models is told, with the place where it belongs."""

from pathlib import Path

import pytest

from switchyard.repository.placement.strays import MOST_STRAYS, strays
from switchyard.repository.verdict import FaultCode


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a repository in which nothing is out of its place."""
    root = tmp_path / "model-repository"
    for path in (
        "README.md",
        ".gitkeep",
        "vision/README.md",
        "vision/.digits.fetching/1/model.onnx",
        "vision/digits/1/model.onnx",
        "llm/.gitkeep",
        "llm/chat/config.json",
        "notes.txt",
        "complexity/prior.safetensors",
        "hub/models--lab--chat/snapshots/1/config.json",
        "scores/config.json",
    ):
        put(root, path)
    (root / "vision/link").symlink_to("digits")
    return root


def put(root: Path, path: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(b"")


def told(root: Path) -> list[tuple[str, str]]:
    found = strays(root, {"scores"})
    assert {(stray.phase, stray.code) for stray in found} <= {("failed", FaultCode.MISPLACED)}
    return [(f"{stray.group} {stray.name}", stray.reason) for stray in found]


def test_models_what_people_write_and_folders_of_services_are_no_strays(root: Path) -> None:
    assert told(root) == []
    assert [stray.name for stray in strays(root)] == ["model-repository/scores"]


OUTSIDE = (
    "lies outside of the groups vision and llm, so that nothing serves it, unless a service names its path: move it to"
)
PLACES = {
    "model.onnx": (
        "vision model-repository/model.onnx",
        "model-repository/model.onnx is no model: put it at model-repository/vision/<name>/1/model.onnx.",
    ),
    "vision/Cat_or_Dog.onnx": (
        "vision Cat_or_Dog.onnx",
        "model-repository/vision/Cat_or_Dog.onnx is no model: put it at "
        "model-repository/vision/cat-or-dog/1/model.onnx.",
    ),
    "llm/model.onnx": (
        "llm model.onnx",
        "model-repository/llm/model.onnx is no model: put it at model-repository/vision/<name>/1/model.onnx.",
    ),
    "vision/cats.tar.gz": (
        "vision cats.tar.gz",
        "model-repository/vision/cats.tar.gz is no model: archives are not unpacked here; unpack it, and put the "
        "model's folder at model-repository/vision/cats.",
    ),
    "chat.zip": (
        "vision model-repository/chat.zip",
        "model-repository/chat.zip is no model: archives are not unpacked here; unpack it, and put the model's folder "
        "at model-repository/vision/chat or model-repository/llm/chat.",
    ),
    "vision/digits.pkl": (
        "vision digits.pkl",
        "model-repository/vision/digits.pkl is no model: export the model to ONNX, and put that at "
        "model-repository/vision/digits/1/model.onnx.",
    ),
    "llm/chat.gguf": (
        "llm chat.gguf",
        "model-repository/llm/chat.gguf is no model: save the model as *.safetensors, and put that into "
        "model-repository/llm/chat/, with config.json.",
    ),
    "llm/config.json": (
        "llm config.json",
        "model-repository/llm/config.json is no model: put it into model-repository/llm/<name>/, with the rest of its "
        "model.",
    ),
    "vision/model.py": (
        "vision model.py",
        "model-repository/vision/model.py is no model: put it at model-repository/vision/<name>/1/model.py, with the "
        "rest of its model.",
    ),
    "cats/1/model.onnx": (
        "vision model-repository/cats",
        f"model-repository/cats {OUTSIDE} model-repository/vision/cats.",
    ),
    "1/model.onnx": (
        "vision model-repository/1",
        f"model-repository/1 {OUTSIDE} model-repository/vision/<name>/1.",
    ),
    "nlp/bert/config.json": (
        "llm model-repository/nlp/bert",
        f"model-repository/nlp/bert {OUTSIDE} model-repository/llm/bert.",
    ),
    "model-repository/vision/cats/1/model.onnx": (
        "vision model-repository/model-repository/vision",
        "model-repository/model-repository/vision lies one folder too deep: move what is in it to "
        "model-repository/vision.",
    ),
}


@pytest.mark.parametrize("path", PLACES)
def test_what_lies_where_no_model_can_be_is_told_with_its_place(path: str, root: Path) -> None:
    put(root, path)
    assert told(root) == [PLACES[path]]


def test_no_more_are_told_than_somebody_reads_and_that_there_are_more(root: Path) -> None:
    for number in range(MOST_STRAYS + 5):
        put(root, f"vision/cats-{number:02}.onnx")
    found = strays(root, {"scores"})
    assert len(found) == MOST_STRAYS
    assert found[-1].reason.endswith(" There are more such files and folders.")
    assert "more such" not in found[-2].reason


def test_names_are_told_without_control_characters(root: Path) -> None:
    put(root, "vision/red\x1b[31m\u202e.onnx")
    put(root, "llm/no-utf8-\udcff.zip")
    for name, reason in told(root):
        assert name.isprintable()
        assert reason.isprintable()


def test_a_group_that_is_missing_or_a_file_has_no_strays(tmp_path: Path) -> None:
    put(tmp_path, "llm")
    assert strays(tmp_path) == []
    with pytest.raises(OSError, match="not-mounted"):
        strays(tmp_path / "not-mounted")
