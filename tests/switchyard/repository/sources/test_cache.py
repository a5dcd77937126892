import hashlib
from pathlib import Path

import pytest

from switchyard.repository.sources import RemoteFile, SourceError, fetch
from switchyard.repository.sources.cache import WeightCache
from switchyard.repository.sources.remote import Checksum
from switchyard.repository.sources.stores.folder import FolderSource
from tests.switchyard.repository.sources.test_fetching import Disturbed, content_of, write

MB = 1 << 20


def folder(path: Path, **files: bytes) -> FolderSource:
    write(path, files)
    return FolderSource(root=path, uri=path.name)


def fetched(cache: WeightCache, source: FolderSource, target: Path) -> list[str]:
    """Fetch with the cache; return the files that were read from the source."""
    read: list[str] = []

    def reads(path: str, start: int, chunks: object) -> object:
        read.append(path)
        return chunks

    fetch(Disturbed(source, reads), source.resolve(), target, cache=cache)  # type: ignore[arg-type]
    return read


def test_what_was_fetched_once_is_not_read_again_and_is_there_once(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path / "cache", 10 * MB)
    source = folder(tmp_path / "source", big=b"b" * MB, small=b"s")
    assert sorted(fetched(cache, source, tmp_path / "one")) == ["big", "small"]
    assert fetched(cache, source, tmp_path / "two") == ["small"]
    assert content_of(tmp_path / "two") == content_of(source.root)
    assert (tmp_path / "one/big").samefile(tmp_path / "two/big")
    assert not (tmp_path / "two/big").stat().st_mode & 0o222


def test_a_changed_file_is_read(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path / "cache", 10 * MB)
    source = folder(tmp_path / "source", big=b"b" * MB)
    fetched(cache, source, tmp_path / "one")
    write(source.root, {"big": b"c" * MB})
    assert fetched(cache, source, tmp_path / "two") == ["big"]
    assert content_of(tmp_path / "two") == {"big": b"c" * MB}
    assert content_of(tmp_path / "one") == {"big": b"b" * MB}


def test_a_sha_256_that_a_store_tells_finds_the_file_of_another_store(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path / "cache", 10 * MB)
    content = b"b" * MB
    fetched(cache, folder(tmp_path / "source", big=content), tmp_path / "one")
    told = Checksum(algorithm="sha256", value="1c3a4d3f3f31b5b9eb0b5b1c0d6bd2d3" * 2)
    other = RemoteFile(path="x", key="x", size=MB, checksum=told)
    assert not cache.take("hf://o/m", other, tmp_path / "x")
    told = Checksum(algorithm="sha256", value=hashlib.sha256(content).hexdigest())
    assert cache.take("hf://o/m", RemoteFile(path="x", key="x", size=MB, checksum=told), tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == content


def test_what_was_not_used_for_longest_goes_and_stays_with_its_models(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path / "cache", 2 * MB)
    sources = {name: folder(tmp_path / name, big=name.encode() * MB) for name in "abc"}
    for name in "ab":
        fetched(cache, sources[name], tmp_path / f"{name}1")
    assert fetched(cache, sources["a"], tmp_path / "a2") == []
    fetched(cache, sources["c"], tmp_path / "c1")
    sizes = {entry.stat().st_ino: entry.stat().st_size for entry in cache_files(tmp_path)}
    assert sum(sizes.values()) == 2 * MB
    assert fetched(cache, sources["a"], tmp_path / "a3") == []
    assert fetched(cache, sources["b"], tmp_path / "b2") == ["big"]
    assert content_of(tmp_path / "b1") == {"big": b"b" * MB}


def cache_files(root: Path) -> list[Path]:
    return list((root / "cache").iterdir())


def test_a_file_that_is_larger_than_the_cache_is_not_kept(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path / "cache", MB)
    fetched(cache, folder(tmp_path / "source", big=b"b" * (2 * MB)), tmp_path / "one")
    assert cache_files(tmp_path) == []


def test_a_damaged_fetch_is_not_kept(tmp_path: Path) -> None:
    cache = WeightCache(tmp_path / "cache", 10 * MB)
    source = folder(tmp_path / "source", big=b"b" * MB)
    wrong = Disturbed(source, lambda path, start, chunks: chunks, Checksum(algorithm="md5", value="0" * 32))
    with pytest.raises(SourceError, match="came with the md5"):
        fetch(wrong, source.resolve(), tmp_path / "one", cache=cache)
    assert cache_files(tmp_path) == []
