"""Fetching from a real S3 server, over wires that break, by processes that are killed."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from switchyard.backoff import Backoff
from switchyard.repository.sources import SourceChangedError, SourceError, fetch, open_source, staging_folder
from switchyard.repository.sources.fetching import Patience
from switchyard.repository.sources.stores.s3 import checksum_of
from tests.switchyard.local.conftest import eventually
from tests.switchyard.repository.sources.conftest import Bucket
from tests.switchyard.repository.sources.s3_server import Wire
from tests.switchyard.repository.sources.test_fetching import content_of

QUICK = Patience(backoff=Backoff(first=0.01, most=0.05))
PART = 5 << 20  # S3's least
MODEL = {
    "config.pbtxt": b'name: "m"',
    "1/model.onnx": random.Random(1).randbytes(2_000_000),
    "1/more.onnx": random.Random(2).randbytes(300_000),
}
FETCH = """
import sys
from pathlib import Path
from switchyard.repository.sources import fetch, open_source
source = open_source(sys.argv[1])
fetch(source, source.resolve(), Path(sys.argv[2]), on_progress=lambda done, total: print(done, flush=True))
"""


@pytest.fixture
def model(bucket: Bucket) -> Bucket:
    for name, content in MODEL.items():
        bucket.put(f"vision/m/{name}", content)
    return bucket


@pytest.fixture
def wire(model: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    with Wire(int(model.server.url.rpartition(":")[2])) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.port}")
        yield running


def test_a_prefix_arrives_as_a_folder(model: Bucket, tmp_path: Path) -> None:
    model.put("vision/m/", b"")  # what consoles make to show a folder
    model.put("vision/m2/other", b"x")
    source = open_source(f"s3://{model.name}/vision/m")
    fetch(source, source.resolve(), tmp_path / "m")
    assert content_of(tmp_path / "m") == MODEL


def test_a_revision_stays_while_nothing_changes_and_moves_with_every_upload(model: Bucket) -> None:
    source = open_source(f"s3://{model.name}/vision/m")
    first = source.resolve()
    assert source.resolve() == first
    model.put("vision/m/config.pbtxt", b'name: "n"')
    assert source.resolve().revision != first.revision


def test_responses_that_break_off_are_gone_on_with(wire: Wire, model: Bucket, tmp_path: Path) -> None:
    source = open_source(f"s3://{model.name}/vision/m")
    remote = source.resolve()
    wire.cut, wire.cuts, wire.bytes = 400_000, 4, 0
    fetch(source, remote, tmp_path / "m", patience=QUICK)
    assert content_of(tmp_path / "m") == MODEL
    assert wire.cuts == 0
    assert wire.bytes < 1.3 * remote.size  # what came before each break was not asked for again


def test_a_byte_that_the_wire_changed_is_found(wire: Wire, model: Bucket, tmp_path: Path) -> None:
    model.put("vision/m/labels.txt", b"a needle in a file of words")
    source = open_source(f"s3://{model.name}/vision/m")
    remote = source.resolve()
    wire.flip = b"needle"
    with pytest.raises(SourceError, match=r"'labels.txt' came with the crc32 \w+, but its store says") as raised:
        fetch(source, remote, tmp_path / "m")
    assert raised.value.transient
    assert not (tmp_path / "m").exists()
    fetch(source, remote, tmp_path / "m")  # only that file again
    assert content_of(tmp_path / "m")["labels.txt"] == b"a needle in a file of words"


def test_an_upload_during_the_fetch_is_never_mixed_with_the_old(model: Bucket, tmp_path: Path) -> None:
    source = open_source(f"s3://{model.name}/vision/m")
    remote = source.resolve()
    model.put("vision/m/1/model.onnx", b"new" * 700_000)
    with pytest.raises(SourceChangedError, match=r"'1/model.onnx' was replaced or removed"):
        fetch(source, remote, tmp_path / "m")
    assert not (tmp_path / "m").exists()
    fetch(source, source.resolve(), tmp_path / "m")
    assert content_of(tmp_path / "m")["1/model.onnx"] == b"new" * 700_000


def _has_more(folder: Path, than: int) -> bool:
    return bytes_in(folder) > than


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_a_fetch_that_is_killed_anywhere_goes_on_and_never_shows_half(
    wire: Wire, model: Bucket, tmp_path: Path
) -> None:
    target, drawn = tmp_path / "m", random.Random(3)
    source = open_source(f"s3://{model.name}/vision/m")
    remote = source.resolve()
    received = 0
    for _ in range(3):
        # The wire gives each killed fetch some bytes and then nothing, so that it is in the middle when it is killed.
        wire.stall_after = drawn.randrange(100_000, 600_000)
        wire.bytes = 0
        process = subprocess.Popen(
            (sys.executable, "-c", FETCH, f"s3://{model.name}/vision/m", str(target)), stdout=subprocess.PIPE, text=True
        )
        assert wire.stalled.wait(120)
        eventually(partial(_has_more, staging_folder(target), received), "what came is on the disk")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not target.exists()
        received = bytes_in(staging_folder(target))
        wire.release()
    wire.stall_after = 0
    wire.bytes = 0
    fetch(source, remote, target)
    assert content_of(target) == MODEL
    assert wire.bytes < remote.size - received + 100_000


def test_a_new_content_is_swapped_in_while_it_is_read(model: Bucket, tmp_path: Path) -> None:
    source = open_source(f"s3://{model.name}/vision/m")
    fetch(source, source.resolve(), tmp_path / "m")
    folder = os.open(tmp_path / "m", os.O_RDONLY)
    model.put("vision/m/config.pbtxt", b"another")
    fetch(source, source.resolve(), tmp_path / "m")
    assert (tmp_path / "m/config.pbtxt").read_bytes() == b"another"
    os.close(folder)


def test_an_upload_in_parts_is_checked_by_its_etag(bucket: Bucket, tmp_path: Path) -> None:
    content = random.Random(4).randbytes(PART + 100)
    upload = bucket.client.create_multipart_upload(Bucket=bucket.name, Key="m/big")["UploadId"]
    about = {"Bucket": bucket.name, "Key": "m/big", "UploadId": upload}
    parts = []
    for number, part in enumerate((content[:PART], content[PART:]), 1):
        etag = bucket.client.upload_part(**about, PartNumber=number, Body=part)["ETag"]
        parts.append({"ETag": etag, "PartNumber": number})
    bucket.client.complete_multipart_upload(**about, MultipartUpload={"Parts": parts})
    source = open_source(f"s3://{bucket.name}/m")
    remote = source.resolve()
    fetch(source, remote, tmp_path / "m")
    assert content_of(tmp_path / "m") == {"big": content}
    said = {"ContentLength": len(content)}
    checksum = checksum_of(said, remote.files[0].etag, PART)
    assert checksum is not None
    assert checksum.algorithm == "md5-parts"


def test_ten_thousand_objects_are_listed(bucket: Bucket) -> None:
    folder = bucket.server.root / bucket.name / "many"
    folder.mkdir()
    for number in range(10_000):
        (folder / f"{number:05}").touch()
    remote = open_source(f"s3://{bucket.name}/many").resolve()
    assert [file.path for file in remote.files] == [f"{number:05}" for number in range(10_000)]


def test_keys_that_are_no_paths_of_files_are_said(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("m/a\nb", b"x")
    source = open_source(f"s3://{bucket.name}/m")
    with pytest.raises(SourceError, match=r"a\\nb.*control character"):
        fetch(source, source.resolve(), tmp_path / "m")


@pytest.mark.parametrize(
    ("variables", "uri", "reason"),
    [
        ({}, "s3://no-such-bucket/m", "there is no such bucket"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong-secret"}, "s3://{}/m", "AWS_SECRET_ACCESS_KEY does not belong"),
        ({"AWS_ACCESS_KEY_ID": "wrong-id"}, "s3://{}/m", "cannot be read: the store"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "s3://{}/m", "no connection to 127.0.0.1:1: it is refused"),
    ],
)
def test_what_is_wrong_with_a_store_is_said_without_its_secrets(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], uri: str, reason: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SourceError, match=reason) as raised:
        open_source(uri.format(bucket.name)).resolve()
    assert raised.value.__suppress_context__
    assert not any(secret in str(raised.value) for secret in ("wrong", "test-secret", "test-access"))


def test_a_prefix_without_objects_is_said(model: Bucket) -> None:
    with pytest.raises(SourceError, match="has no files: is the name right"):
        open_source(f"s3://{model.name}/vision/typo").resolve()


@pytest.mark.parametrize(
    ("said", "etag", "part_size", "algorithm"),
    [
        ({"ChecksumSHA256": "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="}, "0" * 32, 0, "sha256"),
        ({"ChecksumSHA256": "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=-2"}, "0" * 32 + "-2", 5, "md5-parts"),
        ({"ChecksumCRC32": "8OlPjw==", "ChecksumType": "COMPOSITE"}, "0" * 32, 0, "md5"),
        ({}, "0" * 32, 0, "md5"),
        ({}, "not-an-md5", 0, None),
        ({}, "0" * 32 + "-3", 5, None),  # 9 bytes in parts of 5 are two
        ({"ServerSideEncryption": "aws:kms"}, "0" * 32, 0, None),
        ({"ServerSideEncryption": "AES256"}, "0" * 32, 0, "md5"),
        ({"SSECustomerAlgorithm": "AES256"}, "0" * 32, 0, None),
    ],
)
def test_only_what_is_over_the_whole_content_counts_as_its_checksum(
    said: dict[str, str], etag: str, part_size: int, algorithm: str | None
) -> None:
    found = checksum_of({"ContentLength": 9, **said}, etag, part_size)
    assert (found and found.algorithm) == algorithm
