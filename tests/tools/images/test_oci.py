"""Layers and archives as container runtimes read them."""

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tools.images.oci import Config, Entry, Image, Layer, Store

FILES = [
    Entry(path="usr/bin/tool", content=b"#!/bin/sh\n", mode=0o755),
    Entry(path="usr/bin/sh", link="dash"),
    Entry(path="tmp", mode=0o1777),
    Entry(path="etc/name", content=b"x"),
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def opened(store: Store, layer: Layer) -> tarfile.TarFile:
    with zstandard.open(store.path(layer.digest)) as file:
        return tarfile.open(fileobj=io.BytesIO(file.read()))


def members(store: Store, layer: Layer) -> dict[str, tarfile.TarInfo]:
    with opened(store, layer) as tar:
        return {one.name: one for one in tar.getmembers()}


def archived(store: Store, named: dict[str, Image], **options: Any) -> dict[str, bytes]:
    file = io.BytesIO()
    store.archive(named, file, **options)
    file.seek(0)
    with tarfile.open(fileobj=file) as tar:
        return {one.name: found.read() for one in tar.getmembers() if (found := tar.extractfile(one))}


def test_a_layer_holds_files_links_and_folders_of_root_without_a_time(store: Store) -> None:
    found = members(store, store.layer("test", FILES))
    assert list(found) == ["etc", "etc/name", "tmp", "usr", "usr/bin", "usr/bin/sh", "usr/bin/tool"]
    assert (found["usr/bin/tool"].mode, found["tmp"].mode, found["usr/bin/sh"].linkname) == (0o755, 0o1777, "dash")
    assert {(one.uid, one.gid, one.mtime) for one in found.values()} == {(0, 0, 0)}


def test_a_layer_names_each_path_once_and_what_comes_last_is_there(store: Store) -> None:
    again = [
        Entry(path="usr"),
        Entry(path="usr/bin"),
        Entry(path="tmp"),
        Entry(path="etc/name", content=b"yes"),
        *FILES[:3],
    ]
    layer = store.layer("test", [*FILES, *again])
    with opened(store, layer) as tar:
        names = tar.getnames()
        assert tar.extractfile("etc/name").read() == b"yes"  # type: ignore[union-attr]
    assert len(names) == len(set(names))


def test_files_of_this_machine_are_readable_by_everybody_and_executable_if_they_were(
    store: Store, tmp_path: Path
) -> None:
    for name, mode in (("run", 0o700), ("read", 0o600)):
        (tmp_path / name).write_bytes(b"x")
        os.chmod(tmp_path / name, mode)
    found = members(store, store.layer("test", [Entry(path=name, source=tmp_path / name) for name in ("run", "read")]))
    assert (found["run"].mode, found["read"].mode) == (0o755, 0o644)


@given(st.permutations(FILES))
def test_the_same_files_in_any_order_are_the_same_bytes(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Entry]
) -> None:
    store = Store(tmp_path_factory.getbasetemp() / "store")
    assert store.layer("a", entries).digest == store.layer("a", FILES).digest


def test_a_layer_is_known_by_what_is_in_it(store: Store) -> None:
    layer = store.layer("a", FILES)
    with zstandard.open(store.path(layer.digest)) as file:
        assert f"sha256:{hashlib.sha256(file.read()).hexdigest()}" == layer.diff_id != layer.digest


def test_a_blob_that_a_node_has_too_is_kept_once(store: Store, tmp_path: Path) -> None:
    here, there = (store.path(store.layer(name, [Entry(path=name, content=b"1")]).digest) for name in "ab")
    node = tmp_path / "node"
    node.mkdir()
    (node / here.name).write_bytes(here.read_bytes())
    store.share(node)
    store.share(node)
    assert here.samefile(node / here.name)
    assert [path.name for path in node.iterdir()] == [here.name]
    assert there.stat().st_nlink == 1


def test_an_archive_leads_from_its_index_to_every_blob(store: Store) -> None:
    layer = store.layer("files", FILES)
    config = Config(entrypoint=["python", "-m", "x"], env={"A": "b"}, ports=[8080], user="1000:1000")
    image = store.image(config, [layer])
    found = archived(store, {"dev.local/x:1": image})
    assert json.loads(found["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    (entry,) = json.loads(found["index.json"])["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == "dev.local/x:1"

    def blob(digest: str) -> bytes:
        content = found[f"blobs/{digest.replace(':', '/')}"]
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
        return content

    manifest = json.loads(blob(entry["digest"]))
    told = json.loads(blob(manifest["config"]["digest"]))
    assert told["rootfs"]["diff_ids"] == [layer.diff_id]
    assert told["config"]["Entrypoint"] == ["python", "-m", "x"]
    assert (told["config"]["User"], told["config"]["Env"]) == ("1000:1000", ["A=b"])
    assert [len(blob(one["digest"])) for one in manifest["layers"]] == [one["size"] for one in manifest["layers"]]


def test_blobs_that_a_runtime_has_stay_out_of_an_archive_and_shared_ones_come_once(store: Store) -> None:
    below, above = store.layer("below", FILES), store.layer("above", [Entry(path="code", content=b"1")])
    named = {f"dev.local/{user}:1": store.image(Config(user=user), [below, above]) for user in ("1", "2")}
    blobs = [name for name in archived(store, named, without={below.digest}) if name.startswith("blobs/")]
    assert len(blobs) == len(set(blobs)) == 5  # a configuration and a manifest of each, and one layer


def test_a_tag_changes_with_the_content_and_only_then(store: Store) -> None:
    layer = store.layer("files", FILES)
    other = store.layer("files", [Entry(path="code", content=b"1")])
    tags = [store.image(Config(), [one]).tag for one in (layer, layer, other)]
    assert tags[0] == tags[1] != tags[2]


def test_a_layer_is_made_once_for_a_key(store: Store) -> None:
    made: list[str] = []

    def make() -> Layer:
        made.append("made")
        return store.layer("files", FILES)

    first, second = store.kept("key", make), store.kept("key", make)
    assert (first, made) == (second, ["made"])
    store.path(first.digest).unlink()  # somebody tidied up
    assert store.kept("key", make) == first
    assert made == ["made", "made"]


def test_what_no_image_holds_any_more_is_deleted(store: Store) -> None:
    old, new = store.layer("old", FILES), store.layer("new", [Entry(path="x", content=b"1")])
    image = store.image(Config(), [new])
    assert store.keep_only([image]) == old.size
    assert not store.path(old.digest).exists()
    assert archived(store, {"dev.local/x:1": image})
