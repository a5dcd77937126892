"""What engines could load, remembered over restarts."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from switchyard.repository.publishing import Published
from switchyard.repository.served import SERVED, Served, ServedFile
from switchyard.repository.verdict import Facts, Memory

FACTS = Facts(format="huggingface", kind="llm", bytes=1, memory=Memory(weights=1), context_length=64)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    for digest in ("a", "b"):
        content(tmp_path, digest).mkdir(parents=True)
        content(tmp_path, f"{digest}.json").write_text(json.dumps({"facts": asdict(FACTS)}))
    return tmp_path


def content(published: Path, digest: str) -> Path:
    return published / ".objects/llm/chat" / digest


def test_what_one_process_remembers_another_reads(published: Path) -> None:
    known = Served(folder=content(published, "a"), failed={content(published, "b"): "no weights"})
    ServedFile(published).write("chat", known)
    ServedFile(published).write("other", Served())

    file = ServedFile(published)
    assert file.of("chat") == known
    assert file.facts("chat") == FACTS
    assert file.facts("other") is None
    assert file.digests(published / ".objects/llm/chat") == {"a"}
    assert file.digests(published / ".objects/llm/other") == set()


def test_what_is_forgotten_or_gone_is_not_known(published: Path) -> None:
    file = ServedFile(published)
    known = Served(folder=content(published, "a"), failed={content(published, "b"): "no weights"})
    file.write("chat", known)
    content(published, "a").rmdir()
    assert file.of("chat") == Served(failed=known.failed)
    content(published, "b").rmdir()
    file.forget("chat")

    assert file.of("chat") == Served()
    assert json.loads((published / SERVED).read_text()) == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"chat": []}',
        '{"chat": {"folder": 1, "failed": {}}}',
        '{"chat": {"folder": "../..", "failed": {"/": "x"}}}',
        '{"chat": {"folder": ".", "failed": {".objects/llm/chat": "x"}}}',
        '{"chat": {"folder": ".objects/../llm/chat", "failed": {"llm/chat/a/..": "x"}}}',
    ],
)
def test_what_nobody_here_wrote_is_as_nothing(text: str, published: Path) -> None:
    (published / SERVED).write_text(text)
    file = ServedFile(published)

    assert file.of("chat") == Served()
    assert file.facts("chat") is None
    file.write("chat", Served(folder=content(published, "a")))
    assert file.of("chat").folder == content(published, "a")


def test_whoever_publishes_keeps_the_files_of_what_serves(published: Path) -> None:
    for digest in "cd":
        content(published, digest).mkdir()
    generation = {"group": "llm", "name": "chat", "digest": "d", "facts": asdict(FACTS), "previous": "c"}
    content(published, "d.json").write_text(json.dumps(generation))
    (published / "llm").mkdir()
    (published / "llm/chat").symlink_to("../.objects/llm/chat/d")
    file, publisher = ServedFile(published), Published(published, grace_seconds=0)
    file.write("chat", Served(folder=content(published, "a")))

    publisher.collect()
    assert sorted(path.name for path in content(published, "").iterdir()) == ["a", "a.json", "c", "d", "d.json"]
    file.forget("chat")
    publisher.collect()
    assert sorted(path.name for path in content(published, "").iterdir()) == ["c", "d", "d.json"]


def test_a_link_out_of_what_is_published_is_no_content(
    published: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    os.symlink(tmp_path_factory.mktemp("elsewhere"), content(published, "c"))
    file = ServedFile(published)
    file.write("chat", Served(folder=content(published, "c")))

    assert file.of("chat").folder is None
