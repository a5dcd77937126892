"""``switchyard model add`` of an address: downloaded beside its place, judged, and there with its source."""

from pathlib import Path

import pytest

from tests.switchyard.cli.models.conftest import Project
from tests.switchyard.repository import onnx_models
from tests.switchyard.repository.sources.conftest import Bucket
from tests.switchyard.repository.sources.conftest import bucket as bucket
from tests.switchyard.repository.sources.conftest import server as server


@pytest.fixture
def digits(bucket: Bucket, tmp_path: Path) -> Bucket:
    folder = onnx_models.relu(tmp_path / "digits")
    for path in folder.rglob("*.*"):
        bucket.put(f"models/digits/{path.relative_to(folder).as_posix()}", path.read_bytes())
    return bucket


def test_a_model_in_a_bucket_is_added_under_the_name_of_its_folder(project: Project, digits: Bucket) -> None:
    said = project.run("add", f"s3://{digits.name}/models/digits")
    assert said.code == 0, said.err
    assert "digits: added to vision" in said.out
    folder = project.folder("vision/digits")
    assert sorted(path.name for path in folder.iterdir()) == [".source.json", "1", "config.pbtxt"]
    assert f"s3://{digits.name}/models/digits" in (folder / ".source.json").read_text()
    assert [entry.name for entry in folder.parent.iterdir()] == ["digits"]


def test_what_cannot_be_served_is_not_kept(project: Project, digits: Bucket) -> None:
    digits.put("models/digits/1/model.onnx", b"no graph at all")
    said = project.run("add", f"s3://{digits.name}/models/digits", "--name", "other")
    assert (said.code, "other: " in said.out, "1/model.onnx" in said.out) == (1, True, True), said.err
    assert list(project.folder("vision").iterdir()) == []


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("s3://{bucket}/models/none", "has no files"),
        ("s3://", "s3://bucket/prefix"),
        ("ftp://host/model", "'ftp' is no source of models"),
        ("s3://user:hidden@{bucket}/x", "leave it out"),
    ],
)
def test_an_address_that_leads_nowhere_is_explained(project: Project, digits: Bucket, place: str, words: str) -> None:
    said = project.run("add", place.format(bucket=digits.name))
    assert (said.code, words in said.err) == (1, True), said.err
    assert "hidden" not in said.err


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_profile_that_is_not_there_is_a_sentence(
    options: list[str], project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "models")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    said = project.run("add", "s3://models/vision/digits", *options)
    assert (said.code, said.err.splitlines()) == (
        1,
        [
            "error: s3://models/vision/digits cannot be read: AWS_PROFILE names 'models', which ~/.aws/config and "
            "~/.aws/credentials do not have: add the profile, or name another"
        ],
    )


def test_of_a_whole_bucket_the_folder_of_a_model_is_asked_for(project: Project, digits: Bucket) -> None:
    said = project.run("add", f"s3://{digits.name}", "--name", "digits")
    assert (said.code, f"such as s3://{digits.name}/models/digits" in said.err) == (1, True), said.err


def test_what_the_system_does_not_take_is_a_sentence(project: Project) -> None:
    name = "x" * 300
    said = project.run("check", name)
    assert (said.code, said.err) == (1, f"error: {name}: File name too long\n")
