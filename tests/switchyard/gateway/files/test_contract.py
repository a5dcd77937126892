"""What every place of files does."""

import asyncio
from pathlib import Path

import pytest

from switchyard.gateway.files.contract import CHUNK_BYTES, FileStore, FileStoreError, NoFileError
from switchyard.gateway.files.opening import open_file_store
from tests.switchyard.repository.sources.conftest import Bucket, bucket, server

__all__ = ["bucket", "server"]


@pytest.fixture(params=["disk", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "disk":
        return str(tmp_path / "files")
    found: Bucket = request.getfixturevalue("bucket")
    return f"s3://{found.name}/of/gateways"


@pytest.fixture
async def files(place: str) -> FileStore:
    return open_file_store(place)


async def content(files: FileStore, name: str) -> bytes:
    chunks = [chunk async for chunk in files.chunks(name)]
    assert all(len(chunk) <= CHUNK_BYTES for chunk in chunks)
    return b"".join(chunks)


async def test_a_file_appears_when_it_is_whole(files: FileStore) -> None:
    data = b"x" * (CHUNK_BYTES * 3 + 1)
    upload = await files.create("files/a")
    for start in range(0, len(data), 100_000):
        await upload.write(data[start : start + 100_000])
    assert await files.names("files") == []
    await upload.commit()
    upload.discard()
    assert await files.names("files") == ["files/a"]
    assert await content(files, "files/a") == data
    async with files.local("files/a") as path:
        assert path.read_bytes() == data


async def test_what_is_discarded_leaves_nothing(files: FileStore) -> None:
    upload = await files.create("files/a")
    await upload.write(b"x")
    upload.discard()
    upload.discard()
    assert await files.names("files") == []


async def test_a_file_takes_the_place_of_the_one_before(files: FileStore) -> None:
    for data in (b"first", b"", b"third"):
        await files.put("results/batch_1/a", data)
        assert await content(files, "results/batch_1/a") == data


async def test_names_are_those_of_the_folder_in_order(files: FileStore) -> None:
    for name in ("results/b/2", "results/b/1", "results/c/3", "files/d"):
        await files.put(name, b"x")
    assert await files.names("results/b") == ["results/b/1", "results/b/2"]
    await files.remove(await files.names("results/b"))
    await files.remove(["results/b/1"])
    assert await files.names("results/b") == []
    assert await files.names("results/c") == ["results/c/3"]


async def test_a_file_that_is_not_there_is_an_error_of_its_own(files: FileStore) -> None:
    with pytest.raises(NoFileError):
        await content(files, "files/nothing")
    with pytest.raises(NoFileError):
        async with files.local("files/nothing"):
            pass
    assert await files.names("nothing") == []


@pytest.mark.parametrize("name", ["files/../a", "/files/a", "files/", "files/a b", "Files/a", "files/a/b/c", ""])
async def test_no_name_leads_elsewhere(files: FileStore, name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        await files.put(name, b"x")


async def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileStoreError):
        await open_file_store(str(tmp_path / "file")).put("files/a", b"x")


async def test_a_bucket_that_is_not_there_or_a_server_that_is_away_is_an_error_without_urls(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileStoreError, match="NoSuchBucket"):
        await open_file_store("s3://no-such-bucket").put("files/a", b"x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(FileStoreError) as caught:
        await open_file_store(f"s3://{bucket.name}").put("files/a", b"x")
    assert "127.0.0.1" not in str(caught.value)


async def test_an_upload_of_several_parts_is_whole(bucket: Bucket) -> None:
    files, data = (
        open_file_store(f"s3://{bucket.name}/a"),
        b"0123456789abcdef" * 2**20,
    )
    upload = await files.create("files/a")
    await upload.write(data)
    await upload.commit()
    upload.discard()
    assert await content(files, "files/a") == data
    other = await files.create("files/b")
    await other.write(data)
    other.discard()
    async with asyncio.timeout(5):
        while bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads"):
            await asyncio.sleep(0.01)
    assert await files.names("files") == ["files/a"]


@pytest.mark.parametrize("place", ["relative/path", "http://a.example", "s3://", "s3://bucket?a=b"])
def test_a_place_that_is_none_says_so(place: str) -> None:
    with pytest.raises(ValueError, match="absolute path"):
        open_file_store(place)
