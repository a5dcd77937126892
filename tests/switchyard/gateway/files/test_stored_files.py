"""Files end when their time is over, and bytes that nobody knows of go too."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from switchyard.gateway.files.disk import DiskFileStore
from switchyard.gateway.files.stored_file import StoredFile, decode, encode
from switchyard.gateway.files.stored_files import FileLimits, StoredFiles
from switchyard.store.factory import open_records
from switchyard.store.records.contract import Records

LIMITS = FileLimits(file_bytes=100, tenant_bytes=1000)


def stored(name: str, ends: int) -> StoredFile:
    return StoredFile(id=name, tenant="acme", name="a.jsonl", purpose="batch", size=1, created=1, ends=ends)


@pytest.fixture
async def records(tmp_path: Path) -> AsyncIterator[Records]:
    opened = open_records(f"sqlite://{tmp_path}/store.db")
    yield opened
    await opened.aclose()


async def test_a_file_whose_time_is_over_is_found_no_more_and_then_deleted(tmp_path: Path, records: Records) -> None:
    now = 100.0
    files = StoredFiles(records, DiskFileStore(tmp_path / "files"), LIMITS, now=lambda: now)
    for name, ends in (("file-a", 150), ("file-b", 250)):
        await files.blobs.put(f"files/{name}", b"x")
        await files.add(stored(name, ends))
    now = 200.0
    assert files.get("acme", "file-a") is None
    assert [file.id for file in files.listed("acme")] == ["file-b"]
    await files.forget_ended()
    assert await files.blobs.names("files") == ["files/file-b"]
    assert files.get("acme", "file-b") is not None


async def test_bytes_without_a_record_go_the_second_time_that_they_are_seen(tmp_path: Path, records: Records) -> None:
    files = StoredFiles(records, DiskFileStore(tmp_path / "files"), LIMITS)
    await files.blobs.put("files/file-a", b"x")  # a gateway was killed here
    await files.forget_ended()
    assert await files.blobs.names("files") == ["files/file-a"]  # perhaps it is just being added
    await files.forget_ended()
    assert await files.blobs.names("files") == []


def test_a_record_that_is_no_file_says_so() -> None:
    assert decode(encode(stored("file-a", 2))) == stored("file-a", 2)
    with pytest.raises(ValueError, match="not a file"):
        decode(b'{"id": "a"}')
