import os
import time
from pathlib import Path

import pytest

from switchyard.repository.verdict import FaultCode
from switchyard.sync import folders
from switchyard.sync.folders import ModelKey, Roots, look

DIGITS = ModelKey("vision", "digits")


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    for path in ("one/vision/digits/1", "one/llm", "two/vision/digits", "two/llm/chat", "one/vision/.digits.fetching"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "one/vision/README.md").write_text("of people")
    (tmp_path / "one/vision/link").symlink_to("digits")
    return Roots((tmp_path / "one", tmp_path / "two"))


def test_models_are_the_folders_and_links_of_all_roots_and_the_first_root_has_a_name(
    roots: Roots, tmp_path: Path
) -> None:
    assert roots.keys() == {DIGITS, ModelKey("vision", "link"), ModelKey("llm", "chat")}
    assert roots.folder(DIGITS) == tmp_path / "one/vision/digits"
    assert roots.folder(ModelKey("llm", "gone")) is None


def test_a_root_that_is_not_there_is_an_error_and_not_a_repository_without_models(tmp_path: Path) -> None:
    missing = Roots((tmp_path / "not-mounted",))
    with pytest.raises(FileNotFoundError):
        missing.keys()
    with pytest.raises(FileNotFoundError):
        missing.folder(DIGITS)


@pytest.mark.parametrize(
    ("path", "touched"),
    [
        ("one", {None}),
        ("elsewhere", {None}),
        ("one/vision", {"vision"}),
        ("two/vision/digits", {DIGITS}),
        ("one/vision/digits/1/model.onnx", {DIGITS}),
        ("one/vision/.digits.fetching/files/1.part", set()),
        ("one/hub/model.safetensors", set()),
    ],
)
def test_a_changed_path_belongs_to_a_model_to_all_or_to_none(
    path: str, touched: set[object], roots: Roots, tmp_path: Path
) -> None:
    assert roots.touched([tmp_path / path]) == touched


def test_every_change_of_a_folder_gives_another_stamp(roots: Roots, tmp_path: Path) -> None:
    folder = tmp_path / "one/vision/digits"
    file = folder / "config.pbtxt"

    def edit_with_the_same_size_and_time() -> None:
        before = file.stat()
        file.write_text("two")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))

    stamps = [look(folder, "vision").stamp]
    for change in (
        lambda: file.write_text("one"),
        edit_with_the_same_size_and_time,
        lambda: (folder / "2").mkdir(),
        lambda: (folder / "link").symlink_to("1"),
        file.unlink,
    ):
        change()
        stamps.append(look(folder, "vision").stamp)
    assert len(set(stamps)) == len(stamps)


def test_of_too_many_folders_the_followed_ones_stay_and_the_newest_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "MOST_FOLDERS", 3)
    for name in ("old", "a", "b", "c", "d", "e", "f"):
        (tmp_path / "repo/vision" / name).mkdir(parents=True)
        os.utime(tmp_path / "repo/vision" / name, ns=(0, 0))  # as of a copy that keeps the times of the original
        time.sleep(0.02)  # the file system's clock has steps
    (tmp_path / "repo/llm/chat").mkdir(parents=True)
    roots = Roots((tmp_path / "repo",))
    selected = roots.select({ModelKey("vision", "old")})
    assert selected.keys == [ModelKey("vision", "f"), ModelKey("vision", "e"), ModelKey("llm", "chat")]
    (crowded,) = selected.over_limit
    assert (crowded.group, crowded.name, crowded.code) == ("vision", "repo/vision", FaultCode.TOO_LARGE)
    assert crowded.reason == (
        "repo/vision has 7 folders, of which 3 are looked at; the newest that are left out: 'd', 'c', 'b'. "
        "Remove folders that are no models; others take their places, the newest first."
    )
    assert roots.select({ModelKey("vision", name) for name in "abcdef"}).keys == [ModelKey("llm", "chat")]
