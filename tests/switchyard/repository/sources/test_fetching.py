"""Fetching, from a folder of this machine whose reads can be disturbed."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from switchyard.backoff import Backoff
from switchyard.repository.sources import (
    NoSpaceError,
    Remote,
    RemoteFile,
    SourceChangedError,
    SourceError,
    StoppedError,
    fetch,
    open_source,
    staging_folder,
)
from switchyard.repository.sources.fetching import Patience
from switchyard.repository.sources.origin import Origin
from switchyard.repository.sources.remote import Checksum
from switchyard.repository.sources.stores.folder import FolderSource

IMPATIENT = Patience(attempts=3, backoff=Backoff(first=0.001, most=0.002))


@dataclass(frozen=True)
class Disturbed:
    """A folder whose reads pass through ``disturb``, which gets the file's path, the start and the chunks."""

    folder: FolderSource
    disturb: Callable[[str, int, Iterator[bytes]], Iterator[bytes]]
    says: Checksum | None = None

    @property
    def uri(self) -> str:
        return self.folder.uri

    @property
    def follows(self) -> bool:
        return True

    def resolve(self) -> Remote:
        return self.folder.resolve()

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        return self.disturb(file.path, start, self.folder.read(file, start))

    def checksum(self, file: RemoteFile) -> Checksum | None:
        return self.says


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    folder = tmp_path / "there"
    write(folder, {"config.json": b"{}", "weights/a": b"a" * 3_000_000, "weights/b": b"b" * 10, "empty": b""})
    return FolderSource(root=folder, uri="there")


def write(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def content_of(folder: Path) -> dict[str, bytes]:
    """All files of the model; hidden ones are none."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_folder_arrives_whole_and_read_only_with_its_origin(source: FolderSource, tmp_path: Path) -> None:
    remote, target = source.resolve(), tmp_path / "here" / "m"
    fetch(source, remote, target)
    assert content_of(target) == content_of(source.root)
    assert Origin.read(target) == Origin.of(remote)
    assert not (target / "weights/a").stat().st_mode & 0o222
    assert os.listdir(target.parent) == ["m"]


def test_progress_ends_with_all_bytes_and_never_goes_beyond(source: FolderSource, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    remote = source.resolve()
    fetch(source, remote, tmp_path / "m", on_progress=lambda done, total: said.append((done, total)))
    assert said[-1] == (remote.size, remote.size) == (3_000_012, 3_000_012)
    assert all(done <= total for done, total in said)


def test_what_is_already_there_is_not_read_again(source: FolderSource, tmp_path: Path) -> None:
    remote, target = source.resolve(), tmp_path / "m"
    fetch(source, remote, target)
    inode = (target / "weights/a").stat().st_ino
    shutil.rmtree(source.root)
    fetch(source, remote, target)
    assert (target / "weights/a").stat().st_ino == inode


def test_a_new_content_takes_the_place_of_the_old(source: FolderSource, tmp_path: Path) -> None:
    target = tmp_path / "m"
    fetch(source, source.resolve(), target)
    (source.root / "weights/b").unlink()
    write(source.root, {"weights/c": b"new"})
    fetch(source, source.resolve(), target)
    assert content_of(target) == content_of(source.root)
    assert not staging_folder(target).exists()


def test_a_read_that_breaks_off_goes_on_at_the_byte_where_it_was(source: FolderSource, tmp_path: Path) -> None:
    starts: list[int] = []

    def breaks(path: str, start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if path == "weights/a":
            starts.append(start)
            yield next(chunks)
            if len(starts) < 3:
                raise SourceError("the wire broke", transient=True)
        yield from chunks

    fetch(Disturbed(source, breaks), source.resolve(), tmp_path / "m", patience=IMPATIENT)
    assert starts == [0, 1 << 20, 2 << 20]
    assert content_of(tmp_path / "m") == content_of(source.root)


def test_a_read_that_ends_early_is_tried_until_nothing_new_comes(source: FolderSource, tmp_path: Path) -> None:
    reads: list[int] = []

    def ends(path: str, start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if path != "weights/a":
            return chunks
        reads.append(start)
        return iter([b"a" * 100] if not start else [])

    with pytest.raises(SourceError, match=r"'weights/a' ended after 100 of 3,000,000 bytes"):
        fetch(Disturbed(source, ends), source.resolve(), tmp_path / "m", patience=IMPATIENT)
    assert reads == [0, 100, 100]
    assert not (tmp_path / "m").exists()


def test_a_source_that_sends_more_than_it_listed_is_not_taken(source: FolderSource, tmp_path: Path) -> None:
    def endless(path: str, start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        while True:
            yield b"x" * 100_000

    with pytest.raises(SourceChangedError, match="more than the"):
        fetch(Disturbed(source, endless), source.resolve(), tmp_path / "m")
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.part")) <= 3_000_012


def test_a_file_that_changes_while_it_is_read_is_not_taken(source: FolderSource, tmp_path: Path) -> None:
    def changes(path: str, start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        yield next(chunks)
        write(source.root, {"weights/a": b"other" * 600_000})
        yield from chunks

    write(source.root, dict.fromkeys(("config.json", "weights/b"), b""))
    with pytest.raises(SourceChangedError, match="was changed while it was copied"):
        fetch(Disturbed(source, changes), source.resolve(), tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_damaged_file_is_said_and_read_from_its_first_byte_again(source: FolderSource, tmp_path: Path) -> None:
    starts: list[int] = []

    def reads(path: str, start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        starts.append(start)
        return chunks

    shutil.rmtree(source.root / "weights")
    (source.root / "empty").unlink()
    wrong = Disturbed(source, reads, Checksum(algorithm="md5", value="0" * 32))
    for _ in range(2):
        with pytest.raises(SourceError, match=r"came with the md5 99914b93\w+, but its store says 0"):
            fetch(wrong, source.resolve(), tmp_path / "m")
    assert starts == [0, 0]
    assert not (tmp_path / "m").exists()


def test_a_stopped_fetch_keeps_what_came_for_the_next_one(source: FolderSource, tmp_path: Path) -> None:
    stop = threading.Event()
    starts: list[int] = []

    def stops(path: str, start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        if path == "weights/a":
            starts.append(start)
            yield next(chunks)
            stop.set()
        yield from chunks

    with pytest.raises(StoppedError):
        fetch(Disturbed(source, stops), source.resolve(), tmp_path / "m", stop=stop)
    fetch(Disturbed(source, stops), source.resolve(), tmp_path / "m")
    assert starts == [0, 1 << 20]
    assert content_of(tmp_path / "m") == content_of(source.root)


def test_what_does_not_fit_the_disk_is_said_with_numbers_before_a_byte_is_read(
    source: FolderSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("switchyard.repository.sources.fetching.RESERVE", 1 << 60)
    said = (
        r"there needs 3,000,012 bytes more, but the disk .* has [\d,]+ bytes free, .*: make room for 1,15[\d,]+ bytes"
    )
    with pytest.raises(NoSpaceError, match=said):
        fetch(source, source.resolve(), tmp_path / "m")
    assert list(tmp_path.rglob("*.part")) == []


def test_two_fetches_of_one_model_do_not_write_to_the_same_files(source: FolderSource, tmp_path: Path) -> None:
    def fetches_too(path: str, start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
        with pytest.raises(SourceError, match="another fetch of this model runs"):
            fetch(source, source.resolve(), tmp_path / "m")
        return chunks

    fetch(Disturbed(source, fetches_too), source.resolve(), tmp_path / "m")
    assert content_of(tmp_path / "m") == content_of(source.root)


def test_a_link_or_a_device_in_a_folder_is_not_followed(source: FolderSource) -> None:
    (source.root / "link").symlink_to("/etc/passwd")
    with pytest.raises(SourceError, match="'link', which is no regular file"):
        source.resolve()


def test_a_file_that_becomes_a_link_after_the_listing_is_not_followed(source: FolderSource, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"{}")
    remote = source.resolve()
    (source.root / "config.json").unlink()
    (source.root / "config.json").symlink_to(tmp_path / "secret")
    with pytest.raises(SourceError, match=r"'config.json' cannot be read"):
        fetch(source, remote, tmp_path / "m")


def test_a_claim_is_the_folder_where_it_is_mounted(source: FolderSource, tmp_path: Path) -> None:
    claim = open_source("pvc://models/weights", claims={"models": source.root})
    fetch(claim, claim.resolve(), tmp_path / "m")
    assert set(content_of(tmp_path / "m")) == {"a", "b"}
    with pytest.raises(SourceError, match="not mounted here; mounted: models"):
        open_source("pvc://other/x", claims={"models": source.root})
    (source.root / "out").symlink_to(tmp_path)
    with pytest.raises(SourceError, match="is a link that leaves its claim"):
        open_source("pvc://models/out/secret", claims={"models": source.root})
