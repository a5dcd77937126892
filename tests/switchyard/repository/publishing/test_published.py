import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from switchyard.repository.folder import Manifest, hash_files, list_files
from switchyard.repository.publishing import (
    OBJECTS,
    STAGING,
    ChangedError,
    Generation,
    Published,
    PublishedError,
    SpaceError,
    StoppedError,
)
from switchyard.repository.served import Served, ServedFile
from switchyard.repository.signature import SIGNATURE, SignaturePolicy
from switchyard.repository.verdict import Facts, Memory

FACTS = Facts(format="onnx", kind="vision", bytes=3, memory=Memory(weights=3), versions=("1",))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "incoming/vision/digits"
    for version in ("1", "2"):
        (folder / version).mkdir(parents=True)
        (folder / version / "model.onnx").write_text(f"model {version}")
    (folder / "config.pbtxt").write_text("max_batch_size: 0")
    return folder


@pytest.fixture
def published(tmp_path: Path) -> Published:
    published = Published(tmp_path / "published", grace_seconds=0.0)
    published.recover()
    return published


def manifest_of(folder: Path) -> Manifest:
    return hash_files(folder, list_files(folder, "vision"))


def publish(published: Published, folder: Path, facts: Facts = FACTS) -> Generation:
    staged = published.stage(folder, list_files(folder, "vision"), name="digits")
    try:
        return published.publish(staged, manifest_of(staged.folder), facts, group="vision", name="digits")
    finally:
        published.discard(staged)


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_is_copied_and_an_edit_of_it_reaches_no_engine(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    publish(published, folder, replace(FACTS, versions=("1", "2")))
    (folder / "1/model.onnx").write_text("edited!")
    link = tmp_path / "published/vision/digits"
    assert link.is_symlink()
    assert (link / "1/model.onnx").read_text() == "model 1"
    assert os.stat(link / "1/model.onnx").st_mode & 0o777 == 0o444
    assert not os.path.isabs(os.readlink(link))  # so that another mount of the volume has it


def test_versions_that_are_left_out_are_not_there_and_the_completed_config_is(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    generation = publish(published, folder, replace(FACTS, config="completed"))
    link = tmp_path / "published/vision/digits"
    assert files_below(link) == ["1", "1/model.onnx", "config.pbtxt"]
    assert (link / "config.pbtxt").read_text() == "completed"
    assert generation.digest != manifest_of(folder).digest
    assert (folder / "config.pbtxt").read_text() == "max_batch_size: 0"


def test_an_ensemble_has_the_empty_folder_of_its_version(tmp_path: Path, published: Published) -> None:
    folder = tmp_path / "ensemble"
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text('platform: "ensemble"')
    publish(published, folder, replace(FACTS, format="ensemble"))
    assert files_below(tmp_path / "published/vision/digits") == ["1", "config.pbtxt"]


@pytest.mark.parametrize("change", ["edit", "grow", "remove", "link", "link a folder"])
def test_a_folder_that_is_not_what_was_listed_is_not_copied(
    change: str, tmp_path: Path, folder: Path, published: Published
) -> None:
    publish(published, folder)
    before = os.readlink(tmp_path / "published/vision/digits")
    listing = list_files(folder, "vision")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/model.onnx").write_text("model 1")
    if change == "edit":
        (folder / "1/model.onnx").write_text("model 4")
    elif change == "grow":
        with (folder / "1/model.onnx").open("a") as file:
            file.write(" and more")
    elif change == "link a folder":
        shutil.rmtree(folder / "1")
        (folder / "1").symlink_to(tmp_path / "secret")
    else:
        (folder / "1/model.onnx").unlink()
    if change == "link":
        (folder / "1/model.onnx").symlink_to(tmp_path / "secret/model.onnx")
    with pytest.raises(ChangedError):
        published.stage(folder, listing, name="digits")
    assert os.readlink(tmp_path / "published/vision/digits") == before
    assert files_below(tmp_path / "published" / STAGING) == []


def test_the_generation_before_is_kept_until_the_next_switch(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    digests = []
    for content in ("one", "two", "three"):
        (folder / "1/model.onnx").write_text(content)
        digests.append(publish(published, folder).digest)
        published.collect()
    objects = tmp_path / "published" / OBJECTS / "vision/digits"
    assert sorted(path.name for path in objects.iterdir() if path.is_dir()) == sorted(digests[1:])
    published.unpublish("vision", "digits")
    published.collect()
    assert not objects.exists()
    assert published.current("vision", "digits") is None


def test_files_stay_for_a_grace_after_they_were_unpublished(tmp_path: Path, folder: Path) -> None:
    published = Published(tmp_path / "published", grace_seconds=60.0)
    published.recover()
    generation = publish(published, folder)
    published.unpublish("vision", "digits")
    published.collect()
    assert (tmp_path / "published" / OBJECTS / "vision/digits" / generation.digest).is_dir()


def test_content_that_comes_back_is_published_again_from_where_it_was(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    objects = tmp_path / "published" / OBJECTS / "vision/digits"
    first = publish(published, folder)
    (folder / "1/model.onnx").write_text("two")
    second = publish(published, folder)
    (folder / "1/model.onnx").write_text("model 1")
    again = publish(published, folder)
    times = {digest: os.stat(objects / digest / "1").st_mtime_ns for digest in (first.digest, second.digest)}
    assert times[first.digest] > times[second.digest]  # Triton loads what is newer than what it loaded
    assert (again.digest, again.previous) == (first.digest, second.digest)
    published.collect()
    assert (objects / second.digest).is_dir()


def test_a_start_finds_what_is_published_and_removes_what_a_killed_one_left(tmp_path: Path, folder: Path) -> None:
    root = tmp_path / "published"
    first = Published(root, grace_seconds=0.0)
    first.recover()
    generation = publish(first, folder)
    (root / STAGING / "half").mkdir()
    (root / STAGING / "half/model.onnx").write_text("half of a mo")
    os.symlink("../.objects/vision/ghost/0", root / "vision/ghost")
    orphan = root / OBJECTS / "vision/digits/orphan"  # renamed, and killed before the link was switched
    shutil.copytree(root / OBJECTS / "vision/digits" / generation.digest, orphan)
    first.close()
    found = Published(root, grace_seconds=0.0).recover()
    assert found == [generation]
    assert files_below(root / STAGING) == []
    assert not (root / "vision/ghost").is_symlink()
    assert not orphan.exists()


def test_a_model_that_does_not_fit_the_disk_is_told_with_the_numbers(folder: Path, published: Published) -> None:
    listing = list_files(folder, "vision")
    vast = replace(listing, files=(replace(listing.files[0], size=1 << 60),))
    with pytest.raises(SpaceError, match=r"MB free, and a copy of this model needs 1152921504607 MB"):
        published.stage(folder, vast, name="digits")


def test_a_copy_can_be_given_up(tmp_path: Path, folder: Path, published: Published) -> None:
    with pytest.raises(StoppedError):
        published.stage(folder, list_files(folder, "vision"), name="digits", stopped=lambda: True)
    assert files_below(tmp_path / "published" / STAGING) == []


def test_two_do_not_publish_below_one_root(tmp_path: Path, published: Published) -> None:
    with pytest.raises(PublishedError, match="another process"):
        Published(tmp_path / "published").recover()


def test_a_file_that_grows_while_it_is_copied_takes_no_more_than_was_listed(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    listing = list_files(folder, "vision")
    most = 0

    def grow() -> bool:
        nonlocal most
        for path in listing.paths:
            with (folder / path).open("ab") as file:
                file.truncate(1 << 40)
        staging = tmp_path / "published" / STAGING
        most = max([most, *(path.stat().st_size for path in staging.rglob("*") if path.is_file())])
        return False

    with pytest.raises(ChangedError):
        published.stage(folder, listing, name="digits", stopped=grow)
    assert most <= listing.bytes


def test_a_disk_that_others_fill_ends_a_copy(
    tmp_path: Path, folder: Path, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = list_files(folder, "vision")
    usage = shutil.disk_usage(tmp_path)

    def fill() -> bool:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1 << 20))
        return False

    with pytest.raises(SpaceError):
        published.stage(folder, listing, name="digits", stopped=fill)
    assert files_below(tmp_path / "published" / STAGING) == []


def test_what_is_published_is_what_was_judged_whatever_the_folder_is_by_then(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    staged = published.stage(folder, list_files(folder, "vision"), name="digits")
    manifest = manifest_of(staged.folder)
    (folder / "config.pbtxt").write_text("max_batch_size: 9")
    published.publish(staged, manifest, FACTS, group="vision", name="digits")
    published.discard(staged)
    assert (tmp_path / "published/vision/digits/config.pbtxt").read_text() == "max_batch_size: 0"


def test_a_copy_that_was_written_to_while_it_was_judged_is_not_published(folder: Path, published: Published) -> None:
    staged = published.stage(folder, list_files(folder, "vision"), name="digits")
    manifest = manifest_of(staged.folder)
    (staged.folder / "config.pbtxt").write_text("max_batch_size: 9")
    with pytest.raises(ChangedError):
        published.publish(staged, manifest, FACTS, group="vision", name="digits")


def write_published(tmp_path: Path, file: str, text: str) -> None:
    path = tmp_path / "published/vision/digits" / file
    os.chmod(path.parent, 0o700)
    if path.exists():
        os.chmod(path, 0o600)
    path.write_text(text)


@pytest.mark.parametrize(("file", "text"), [("1/model.onnx", "model 7"), ("1/other.py", ""), ("1/model.onnx", "short")])
def test_a_published_file_that_was_written_to_is_found_at_a_start_and_replaced(
    file: str, text: str, tmp_path: Path, folder: Path, published: Published
) -> None:
    publish(published, folder)
    write_published(tmp_path, file, text)
    published.close()
    again = Published(tmp_path / "published", grace_seconds=0.0)
    assert again.recover() == []
    assert not (tmp_path / "published/vision/digits").exists()
    publish(again, folder)
    assert files_below(tmp_path / "published/vision/digits") == ["1", "1/model.onnx", "config.pbtxt"]
    assert (tmp_path / "published/vision/digits/1/model.onnx").read_text() == "model 1"


def test_what_serves_stays_whatever_is_published_over_it_unless_it_was_written_to(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    root = tmp_path / "published"
    serving = root / OBJECTS / "vision/digits" / publish(published, folder).digest
    ServedFile(root).write("digits", Served(folder=serving))
    for content in ("two", "three"):
        (folder / "1/model.onnx").write_text(content)
        publish(published, folder)
    published.close()
    again = Published(root, grace_seconds=0.0)
    again.recover()
    assert serving.is_dir()
    again.close()
    file = serving / "1/model.onnx"
    file.chmod(0o600)
    file.write_text("model 7")
    Published(root, grace_seconds=0.0).recover()
    assert not serving.exists()


def test_content_that_comes_back_is_not_taken_from_files_that_were_written_to(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    publish(published, folder)
    write_published(tmp_path, "1/model.onnx", "model 7")
    (folder / "1/model.onnx").write_text("two")
    publish(published, folder)
    (folder / "1/model.onnx").write_text("model 1")
    publish(published, folder)
    assert (tmp_path / "published/vision/digits/1/model.onnx").read_text() == "model 1"


def test_published_files_with_other_times_are_read_once_and_stay(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    generation = publish(published, folder)
    os.utime(tmp_path / "published/vision/digits/1/model.onnx")  # as a restored volume has
    record = tmp_path / "published" / OBJECTS / "vision/digits" / f"{generation.digest}.json"
    before = record.read_text()
    published.close()
    assert Published(tmp_path / "published").recover() == [generation]
    assert record.read_text() != before


def test_a_start_leaves_nothing_for_engines_that_no_trusted_key_vouches_for(
    tmp_path: Path, folder: Path, published: Published
) -> None:
    root, key = tmp_path / "published", tmp_path / "lab.pem"
    key.write_text("-----BEGIN PUBLIC KEY-----")
    (folder / SIGNATURE).write_text("{}")
    first = publish(published, folder)  # which an engine loaded last
    loaded = root / OBJECTS / "vision/digits" / first.digest
    ServedFile(root).write("digits", Served(folder=loaded))
    (folder / "1/model.onnx").write_text("newer")
    signed = replace(FACTS, signing_key=hashlib.sha256(key.read_bytes()).hexdigest())
    newest = publish(published, folder, signed)
    published.close()

    policy = SignaturePolicy(key)
    again = Published(root, grace_seconds=0.0)
    assert [found.digest for found in again.recover(policy)] == [newest.digest]
    assert not loaded.exists()
    again.close()
    key.write_text("-----BEGIN PUBLIC KEY----- of another")
    assert Published(root, grace_seconds=0.0).recover(policy) == []
    assert not (root / "vision/digits").is_symlink()
