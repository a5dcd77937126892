"""A folder that follows a bucket of a real S3 server, and a hub whose tags move."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from switchyard.repository.sources import (
    Follower,
    Remote,
    RemoteFile,
    Source,
    SourceEvent,
    open_source,
    parse,
    remove_others,
)
from switchyard.repository.sources.remote import Checksum
from switchyard.repository.sources.stores.folder import FolderSource
from tests.switchyard.repository.sources.conftest import Bucket
from tests.switchyard.repository.sources.test_fetching import Disturbed, content_of
from tests.switchyard.repository.sources.test_hub import WEIGHTS, Hub, hub

__all__ = ["hub"]


def follower(root: Path, address: str, events: list[SourceEvent]) -> Follower:
    location = parse(address)
    return Follower(location, open_source(location), root, events.append, settle=0)


def told(events: list[SourceEvent]) -> list[str]:
    """What was told, without the progress of fetches."""
    return [f"{event.kind} {event.place or event.uri}" for event in events if event.kind != "fetching"]


def test_new_folders_appear_changed_ones_change_and_removed_ones_go(bucket: Bucket, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    following = follower(tmp_path, f"s3://{bucket.name}/models", events)
    bucket.put("models/README.md", b"no model")
    bucket.put("models/vision/README.md", b"no model")
    bucket.put("models/vision/digits/1/model.onnx", b"one")
    bucket.put("models/llm/chat/config.json", b"{}")
    assert following.poll()
    assert content_of(tmp_path) == {"vision/digits/1/model.onnx": b"one", "llm/chat/config.json": b"{}"}
    bucket.put("models/vision/digits/2/model.onnx", b"two")
    bucket.client.delete_object(Bucket=bucket.name, Key="models/llm/chat/config.json")
    assert following.poll()
    assert content_of(tmp_path) == {"vision/digits/1/model.onnx": b"one", "vision/digits/2/model.onnx": b"two"}
    assert following.poll()
    assert sorted(told(events)) == [
        "fetched llm/chat",
        "fetched vision/digits",
        "fetched vision/digits",
        "removed llm/chat",
    ]


def test_progress_is_told_with_the_bytes_of_each_model(bucket: Bucket, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    bucket.put("vision/digits/1/model.onnx", b"x" * 5000)
    follower(tmp_path, f"s3://{bucket.name}", events).poll()
    progress = [event.progress for event in events]
    assert progress == sorted(progress)
    assert (progress[0], progress[-1]) == ((0, 5000), (5000, 5000))


def test_a_bad_key_of_one_model_leaves_the_others_followed_and_is_told_once(bucket: Bucket, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    bucket.put("vision/bad/a\nb", b"x")
    bucket.put("vision/good/1/model.onnx", b"x")
    following = follower(tmp_path, f"s3://{bucket.name}", events)
    assert not following.poll()
    assert not following.poll()
    assert sorted(told(events)) == ["failed vision/bad", "fetched vision/good"]


def test_a_store_that_cannot_be_read_removes_nothing(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[SourceEvent] = []
    bucket.put("vision/digits/1/model.onnx", b"x")
    assert follower(tmp_path, f"s3://{bucket.name}", events).poll()
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert not follower(tmp_path, f"s3://{bucket.name}", events).poll()
    assert content_of(tmp_path) == {"vision/digits/1/model.onnx": b"x"}
    assert told(events) == ["fetched vision/digits", "failed vision/digits"]


def test_a_source_that_could_never_be_listed_is_told_and_once_it_can_be(bucket: Bucket, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    following = follower(tmp_path, "s3://later", events)
    assert not following.poll()
    assert not following.poll()
    bucket.client.create_bucket(Bucket="later")
    bucket.client.put_object(Bucket="later", Key="vision/digits/1/model.onnx", Body=b"x")
    assert following.poll()
    assert following.poll()
    assert told(events) == ["failed s3://later", "fetched s3://later", "fetched vision/digits"]


def test_one_model_gets_the_name_that_was_written_or_that_of_its_address(
    bucket: Bucket, hub: Hub, tmp_path: Path
) -> None:
    bucket.put("Some_Model.v2/1/model.onnx", b"x")
    address = f"s3://{bucket.name}/Some_Model.v2"
    for number, one in enumerate((address, f"vision/other={address}", "hf://owner/model")):
        assert follower(tmp_path / str(number), one, []).poll()
    assert set(content_of(tmp_path)) == {
        "0/vision/some-model-v2/1/model.onnx",
        "1/vision/other/1/model.onnx",
        "2/llm/model/config.json",
        "2/llm/model/model.safetensors",
    }


def test_a_moved_tag_is_told_once_and_not_taken(hub: Hub, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    following = follower(tmp_path, "tiny=hf://owner/model", events)
    assert following.poll()
    hub.commits["main"] = "d" * 40
    hub.files["config.json"] = b"another"
    assert following.poll()
    assert following.poll()
    assert told(events) == ["fetched llm/tiny", "moved llm/tiny"]
    assert "d" * 40 in events[-1].message
    assert content_of(tmp_path)["llm/tiny/config.json"] == b"{}"
    assert follower(tmp_path, "tiny=hf://owner/model:main", events).poll()  # another address: it is asked for
    assert content_of(tmp_path) == {"llm/tiny/config.json": b"another", "llm/tiny/model.safetensors": WEIGHTS}


def test_a_moved_tag_is_taken_where_the_address_says_so(hub: Hub, tmp_path: Path) -> None:
    following = follower(tmp_path, "tiny=hf://owner/model?follow=true", [])
    assert following.poll()
    hub.commits["main"] = "d" * 40
    hub.files["config.json"] = b"another"
    assert following.poll()
    assert content_of(tmp_path)["llm/tiny/config.json"] == b"another"


def test_a_fetch_that_keeps_failing_keeps_its_reason(tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    (tmp_path / "there").mkdir()
    (tmp_path / "there/config.json").write_bytes(b"{}")
    folder = FolderSource(root=tmp_path / "there", uri="there")
    source = Disturbed(folder, lambda path, start, chunks: chunks, Checksum(algorithm="sha256", value="another"))
    following = Follower(parse(f"llm/tiny={folder.root}"), source, tmp_path / "here", events.append, settle=0)
    assert not following.poll()
    assert not following.poll()
    assert told(events) == ["failed llm/tiny", "failed llm/tiny"]
    failed = [event.kind for event in events].index("failed")
    assert all("came with the" in event.message for event in events[failed:])


def test_two_sources_do_not_take_one_name(bucket: Bucket, hub: Hub, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    bucket.put("m/config.json", b"x")
    assert follower(tmp_path, "llm/tiny=hf://owner/model", events).poll()
    assert not follower(tmp_path, f"llm/tiny=s3://{bucket.name}/m", events).poll()
    assert "comes from hf://owner/model already" in events[-1].message
    assert content_of(tmp_path)["llm/tiny/config.json"] == b"{}"


def test_models_of_sources_that_are_no_longer_named_go(bucket: Bucket, hub: Hub, tmp_path: Path) -> None:
    bucket.put("models/vision/digits/1/model.onnx", b"x")
    kept, gone = f"s3://{bucket.name}/models", "tiny=hf://owner/model"
    for address in (kept, gone):
        assert follower(tmp_path, address, []).poll()
    remove_others(tmp_path, [open_source(kept)])
    assert content_of(tmp_path) == {"vision/digits/1/model.onnx": b"x"}


@dataclass
class Uploading:
    """Somebody uploads another file of ``vision/big`` before each listing."""

    bucket: Bucket
    source: Source
    uri: str = "uploading"
    follows: bool = True
    parts: list[str] = field(default_factory=list)

    def resolve(self) -> Remote:
        self.parts.append(f"vision/big/part-{len(self.parts)}")
        self.bucket.put(self.parts[-1], b"x")
        return self.source.resolve()

    def read(self, file: RemoteFile, start: int) -> Iterator[bytes]:
        return self.source.read(file, start)

    def checksum(self, file: RemoteFile) -> Checksum | None:
        return self.source.checksum(file)


def test_an_upload_that_goes_on_is_waited_for_and_others_are_not(bucket: Bucket, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    bucket.put("vision/small/1/model.onnx", b"x")
    location = parse(f"s3://{bucket.name}")
    uploading = Uploading(bucket, open_source(location))
    following = Follower(location, uploading, tmp_path, events.append, settle=0)
    assert not following.poll()
    assert told(events) == ["fetched vision/small"]
    assert follower(tmp_path, f"s3://{bucket.name}", events).poll()
    assert len(content_of(tmp_path / "vision" / "big")) == len(uploading.parts)
