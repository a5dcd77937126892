"""Fetching from a real registry, what `oras push` and others put there."""

import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import go
from switchyard.backoff import Backoff
from switchyard.repository.sources import SourceChangedError, SourceError, fetch, open_source
from switchyard.repository.sources.fetching import Patience
from tests.live.processes import eventually
from tests.ports import free_port
from tests.switchyard.repository.sources.s3_server import Wire
from tests.switchyard.repository.sources.test_fetching import content_of

FILES = {"config.json": b"{}", "weights/model.safetensors": b"w" * 1_500_000}
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
QUICK = Patience(backoff=Backoff(first=0.01, most=0.05))


@dataclass(frozen=True, slots=True)
class Registry:
    port: int
    root: Path

    def push(self, files: Mapping[str, bytes], tag: str = "v1", **annotations: str) -> str:
        """Push an artifact as oras does; return its digest."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}/v2/models/tiny", trust_env=False) as client:
            config = self._blob(client, b"{}")
            layers = [
                {**self._blob(client, content), "annotations": {"org.opencontainers.image.title": name, **annotations}}
                for name, content in files.items()
            ]
            body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
            pushed = client.put(f"/manifests/{tag}", json=body, headers={"content-type": MANIFEST}).raise_for_status()
            return pushed.headers["docker-content-digest"]

    def _blob(self, client: httpx.Client, content: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        place = client.post("/blobs/uploads/").raise_for_status().headers["location"]
        client.put(place, params={"digest": digest, **httpx.URL(place).params}, content=content).raise_for_status()
        return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}

    def blob(self, content: bytes) -> Path:
        """The file in which the registry keeps a content."""
        digest = hashlib.sha256(content).hexdigest()
        return self.root / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    folder, port = tmp_path_factory.mktemp("registry"), free_port()
    settings = {
        "version": 0.1,
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(folder)}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    (folder / "config.yml").write_text(json.dumps(settings))
    command = (str(go.registry()), "serve", str(folder / "config.yml"))
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: _responds(port), "the registry responds", 30)
        yield Registry(port, folder)
    finally:
        process.kill()
        process.wait()


def _responds(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False).is_success
    except httpx.TransportError:
        return False


def address(registry: Registry, tag: str = ":v1") -> str:
    return f"oci://127.0.0.1:{registry.port}/models/tiny{tag}"


def test_an_artifact_arrives_as_a_folder_pinned_by_its_digest(registry: Registry, tmp_path: Path) -> None:
    digest = registry.push(FILES)
    source = open_source(address(registry))
    remote = source.resolve()
    assert remote.revision == digest
    assert not source.follows
    fetch(source, remote, tmp_path / "m")
    assert content_of(tmp_path / "m") == FILES


def test_a_tag_that_moves_is_another_revision_and_a_digest_is_not(registry: Registry) -> None:
    digest = registry.push(FILES, "moves")
    registry.push({**FILES, "config.json": b"another"}, "moves")
    assert open_source(address(registry, ":moves")).resolve().revision != digest
    assert open_source(address(registry, f"@{digest}")).resolve().revision == digest


def test_a_blob_that_breaks_off_is_gone_on_with(registry: Registry, tmp_path: Path) -> None:
    registry.push(FILES)
    with Wire(registry.port) as wire:
        source = open_source(f"oci://127.0.0.1:{wire.port}/models/tiny:v1")
        remote = source.resolve()
        wire.cut, wire.cuts, wire.bytes = 600_000, 2, 0
        fetch(source, remote, tmp_path / "m", patience=QUICK)
        assert wire.cuts == 0
        assert wire.bytes < 1.3 * remote.size
    assert content_of(tmp_path / "m") == FILES


def test_a_blob_that_is_damaged_in_the_registry_is_found(registry: Registry, tmp_path: Path) -> None:
    content = b"kept for long" * 100
    registry.push({"a": content}, "damaged")
    registry.blob(content).write_bytes(content.replace(b"long", b"lone", 1))
    source = open_source(address(registry, ":damaged"))
    with pytest.raises(SourceError, match="came with the sha256"):
        fetch(source, source.resolve(), tmp_path / "m")
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("title", ["../escape", "/etc/passwd", "a\nb"])
def test_a_title_that_is_no_path_below_the_folder_is_not_taken(registry: Registry, tmp_path: Path, title: str) -> None:
    registry.push({title: b"x"}, "hostile")
    source = open_source(address(registry, ":hostile"))
    with pytest.raises(SourceError, match="which"):
        fetch(source, source.resolve(), tmp_path / "m")
    assert list(tmp_path.rglob("*escape*")) == []


def test_an_archive_is_said_to_be_none_of_files(registry: Registry) -> None:
    registry.push({"folder": b"tar"}, "packed", **{"io.deis.oras.content.unpack": "true"})
    with pytest.raises(SourceError, match="no artifact of files: push one with `oras push"):
        open_source(address(registry, ":packed")).resolve()


def test_what_is_not_there_is_said(registry: Registry) -> None:
    with pytest.raises(SourceChangedError, match="is not in the registry"):
        open_source(address(registry, ":none")).resolve()
    with pytest.raises(SourceError, match=r"no connection to 127.0.0.1:1: it is refused") as raised:
        open_source("oci://127.0.0.1:1/models/tiny:v1").resolve()
    assert raised.value.transient
