"""The whole program on a bucket of a real S3 server."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.switchyard.repository import onnx_models
from tests.switchyard.repository.sources.conftest import Bucket, bucket, server
from tests.switchyard.repository.sources.lying_store import Request, lying_store
from tests.switchyard.sync.program import Program

__all__ = ["bucket", "server"]
LISTING = (
    b'<ListBucketResult><Contents><Key>vision/m/a</Key><Size>1000000</Size><ETag>"e"</ETag><LastModified>2026-01-01T00:'
    b"00:00.000Z</LastModified></Contents><IsTruncated>false</IsTruncated></ListBucketResult>"
)


def upload(bucket: Bucket, folder: Path, prefix: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            bucket.put(f"{prefix}/{path.relative_to(folder)}", path.read_bytes())


def test_a_model_of_a_bucket_is_published_kept_when_broken_and_removed(bucket: Bucket, tmp_path: Path) -> None:
    made = onnx_models.relu(tmp_path / "made")
    upload(bucket, made, "models/vision/digits")
    bucket.put("models/vision/other/config.pbtxt", b"no config")
    with Program(tmp_path, "--source", f"s3://{bucket.name}/models", "--listing_seconds", "1") as sync:
        first = sync.wait_for("digits", "published")
        assert first.source == f"s3://{bucket.name}/models/vision/digits"
        assert first.revision.startswith("sha256:")
        assert sync.wait_for("other", "failed").source

        bucket.put("models/vision/digits/1/model.onnx", b"no model")
        failed = sync.wait_for("digits", "failed")
        assert failed.digest == first.digest
        assert failed.revision != first.revision
        assert first.digest in str(sync.target("vision", "digits"))

        upload(bucket, onnx_models.relu(made, width=7), "models/vision/digits")
        assert sync.wait_for("digits", "published", other_than=first.digest)

        for path in ("config.pbtxt", "1/model.onnx"):
            bucket.client.delete_object(Bucket=bucket.name, Key=f"models/vision/digits/{path}")
        sync.wait(lambda: sync.status("digits") is None)
        assert sync.target("vision", "digits") is None


def test_a_bucket_that_cannot_be_read_is_said_and_what_is_published_stays(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(bucket, onnx_models.relu(tmp_path / "made"), "vision/digits")
    sync = Program(tmp_path, "--source", f"s3://{bucket.name}", "--listing_seconds", "1")
    with sync:
        first = sync.wait_for("digits", "published")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with sync:
        sync.wait(lambda: (status := sync.status("digits")) and "AWS_SECRET_ACCESS_KEY" in status.reason)
        status = sync.status("digits")
        assert status
        assert (status.phase, status.digest) == ("published", first.digest)


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [
        (["ftp://x/y"], "'ftp' is no source of models"),
        (["s3://a/b", "s3://a/b"], "s3://a/b is named twice"),
        (["pvc://claim/x"], "not mounted here; mounted: none"),
        (["s3://user:hunter2@a/b"], "credentials are read from the environment"),
    ],
)
def test_an_address_that_cannot_be_used_is_said_at_once(tmp_path: Path, sources: list[str], sentence: str) -> None:
    named = [argument for source in sources for argument in ("--source", source)]
    command = [sys.executable, "-m", "switchyard.sync", *named, "--published", str(tmp_path / "p")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "hunter2" not in done.stderr


def test_a_store_that_never_ends_does_not_keep_the_program_from_ending(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()

    def respond(request: Request) -> None:
        if "list-type" in request.path:
            request.send(200, LISTING)
        else:
            asked.set()
            request.send_for_ever(b"x", 0.2, etag='"e"')

    with lying_store(respond) as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{store.place}")
        with Program(tmp_path, "--source", "s3://models", "--listing_seconds", "1") as sync:
            assert asked.wait(60)
            assert sync.stop() == 0
        assert "a store is not waited for any longer" in sync.log.read_text()
