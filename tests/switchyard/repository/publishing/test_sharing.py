"""Equal files of two published models are one file, which goes with the last of them."""

import errno
import os
from pathlib import Path

import pytest

from switchyard.repository.folder import hash_files, list_files
from switchyard.repository.publishing import OBJECTS, Generation, Published
from switchyard.repository.publishing.sharing import FILES, LEAST_BYTES
from switchyard.repository.verdict import Facts, Memory

FACTS = Facts(format="huggingface", kind="llm", bytes=3, memory=Memory(weights=3))
WEIGHTS = bytes(range(256)) * (LEAST_BYTES // 256)


@pytest.fixture
def published(tmp_path: Path) -> Published:
    published = Published(tmp_path / "published", grace_seconds=0.0)
    published.recover()
    return published


def publish(published: Published, tmp_path: Path, name: str, weights: bytes = WEIGHTS) -> Generation:
    folder = tmp_path / "incoming/llm" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(weights)
    (folder / "generation_config.json").write_text("{}")
    staged = published.stage(folder, list_files(folder, "llm"), name=name)
    manifest = hash_files(staged.folder, list_files(staged.folder, "llm"))
    try:
        return published.publish(staged, manifest, FACTS, group="llm", name=name)
    finally:
        published.discard(staged)


def file_of(tmp_path: Path, name: str, file: str = "model.safetensors") -> Path:
    return tmp_path / "published/llm" / name / file


def known(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "published" / OBJECTS / FILES).iterdir())


def test_the_weights_of_a_model_under_a_second_name_are_one_file(tmp_path: Path, published: Published) -> None:
    for name in ("chat", "chat-formal"):
        publish(published, tmp_path, name)
    first, second = (os.stat(file_of(tmp_path, name)) for name in ("chat", "chat-formal"))

    assert first.st_ino == second.st_ino
    assert first.st_mode & 0o777 == 0o444
    assert file_of(tmp_path, "chat").read_bytes() == WEIGHTS
    small = [os.stat(file_of(tmp_path, name, "generation_config.json")).st_ino for name in ("chat", "chat-formal")]
    assert small[0] != small[1]
    incoming = os.stat(tmp_path / "incoming/llm/chat/model.safetensors")
    assert incoming.st_ino != first.st_ino
    assert incoming.st_mode & 0o200

    again = Published(tmp_path / "published")
    published.close()
    assert {one.name for one in again.recover()} == {"chat", "chat-formal"}


def test_a_file_goes_with_the_last_model_that_has_it(tmp_path: Path, published: Published) -> None:
    for name in ("chat", "chat-formal"):
        publish(published, tmp_path, name)
    published.unpublish("llm", "chat")
    published.collect()
    assert file_of(tmp_path, "chat-formal").read_bytes() == WEIGHTS
    assert len(known(tmp_path)) == 1

    published.unpublish("llm", "chat-formal")
    published.collect()
    assert known(tmp_path) == []


def test_a_file_that_somebody_wrote_to_is_shared_with_nobody(tmp_path: Path, published: Published) -> None:
    publish(published, tmp_path, "chat")
    written = file_of(tmp_path, "chat")
    os.chmod(written, 0o644)
    written.write_bytes(b"x" + WEIGHTS[1:])
    for name in ("chat-formal", "chat-short"):
        publish(published, tmp_path, name)

    assert file_of(tmp_path, "chat-formal").read_bytes() == WEIGHTS
    assert os.path.samefile(file_of(tmp_path, "chat-formal"), file_of(tmp_path, "chat-short"))
    assert not os.path.samefile(file_of(tmp_path, "chat-formal"), written)


def test_without_hard_links_each_model_has_a_copy(
    tmp_path: Path, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    monkeypatch.setattr(os, "link", link)
    for name in ("chat", "chat-formal"):
        publish(published, tmp_path, name)

    assert file_of(tmp_path, "chat").read_bytes() == file_of(tmp_path, "chat-formal").read_bytes() == WEIGHTS
    assert not os.path.samefile(file_of(tmp_path, "chat"), file_of(tmp_path, "chat-formal"))
