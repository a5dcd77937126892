"""huggingface_hub, as we call it, against the two routes of the hub that it asks here."""

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from switchyard.repository.sources import Source, SourceChangedError, SourceError, fetch, open_source
from tests.switchyard.repository.sources.test_fetching import content_of

WEIGHTS = b"w" * 1_500_000
FILES = {
    "config.json": b"{}",
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"a pickle",
    "onnx/model.onnx": b"another framework's",
    ".gitattributes": b"",
}


class Hub(ThreadingHTTPServer):
    """One model; ``commits`` maps revisions to commits, ``cut`` ends a file's responses after so many bytes."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = dict(FILES)
        self.commits = {"main": "c" * 40, "v1": "1" * 40}
        self.cut = 0
        self.statuses: list[int] = []
        self.ranges: list[str] = []
        self.tokens: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        if "/owner/model" in self.path:  # not what the library asks the hub for itself
            self.server.tokens.add(self.headers.get("authorization", ""))
        path = urlsplit(self.path).path
        if self.server.statuses:
            self._send(self.server.statuses.pop(0), b"{}")
        elif path.startswith("/api/models/owner/model"):
            self._describe(path.partition("/revision/")[2] or "main")
        elif "/resolve/" in path:
            commit, _, name = path.partition("/resolve/")[2].partition("/")
            self._file(self.server.files.get(name) if commit in self.server.commits.values() else None)
        else:
            self._send(404, b"{}", {"x-error-code": "RepoNotFound"})

    def _describe(self, revision: str) -> None:
        if revision not in self.server.commits:
            self._send(404, b"{}", {"x-error-code": "RevisionNotFound"})
            return
        siblings = [sibling(name, content) for name, content in self.server.files.items()]
        about = {"id": "owner/model", "sha": self.server.commits[revision], "siblings": siblings}
        self._send(200, json.dumps(about).encode())

    def _file(self, content: bytes | None) -> None:
        if content is None:
            self._send(404, b"", {"x-error-code": "EntryNotFound"})
            return
        said = self.headers.get("range", "bytes=0-")
        self.server.ranges.append(said)
        start = int(said.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content) and content:
            self._send(416, b"")
            return
        self.send_response(206)
        self.send_header("content-length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start : start + self.server.cut] if self.server.cut else content[start:])

    def _send(self, status: int, body: bytes, headers: dict[str, str] = {}) -> None:  # noqa: B006
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body)), "content-type": "application/json"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def sibling(name: str, content: bytes) -> dict[str, object]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    lfs = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    large = {"lfs": lfs} if len(content) > 1000 else {}
    return {"rfilename": name, "size": len(content), "blobId": git, **large}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_TOKEN", "hf_secret")
        yield running
        running.shutdown()


def model(revision: str = "") -> Source:
    return open_source(f"hf://owner/model{revision}")


def test_a_model_arrives_without_other_frameworks_weights(hub: Hub, tmp_path: Path) -> None:
    remote = model().resolve()
    fetch(model(), remote, tmp_path / "m")
    assert content_of(tmp_path / "m") == {"config.json": b"{}", "model.safetensors": WEIGHTS}
    assert remote.left_out == (".gitattributes", "onnx/model.onnx", "pytorch_model.bin")
    assert hub.tokens == {"Bearer hf_secret"}


def test_without_safetensors_everything_comes_for_the_judge_to_see(hub: Hub) -> None:
    del hub.files["model.safetensors"]
    assert [file.path for file in model().resolve().files] == ["config.json", "onnx/model.onnx", "pytorch_model.bin"]


def test_a_revision_is_pinned_to_its_commit(hub: Hub) -> None:
    assert model().resolve().revision == "c" * 40
    assert model(":v1").resolve().revision == "1" * 40
    assert all("1" * 40 in file.key for file in model(":v1").resolve().files)


def test_a_model_is_followed_only_when_asked_for(hub: Hub) -> None:
    assert not model().follows
    assert model("?follow=true").follows


def test_a_response_that_ends_early_is_gone_on_with(hub: Hub, tmp_path: Path) -> None:
    hub.cut = 600_000
    fetch(model(), model().resolve(), tmp_path / "m")
    assert content_of(tmp_path / "m")["model.safetensors"] == WEIGHTS
    assert [said for said in hub.ranges if said != "bytes=0-"] == ["bytes=600000-", "bytes=1200000-"]


@pytest.mark.parametrize(("name", "algorithm"), [("model.safetensors", "sha256"), ("config.json", "git-sha1")])
def test_other_bytes_than_the_hub_listed_are_found(hub: Hub, tmp_path: Path, name: str, algorithm: str) -> None:
    remote = model().resolve()
    hub.files[name] = b"x" * len(hub.files[name])
    with pytest.raises(SourceError, match=f"{name}' came with the {algorithm}"):
        fetch(model(), remote, tmp_path / "m")


def test_a_commit_that_is_gone_is_a_change(hub: Hub, tmp_path: Path) -> None:
    remote = model().resolve()
    hub.commits["main"] = "d" * 40
    with pytest.raises(SourceChangedError):
        fetch(model(), remote, tmp_path / "m")


@pytest.mark.parametrize(
    ("address", "advice"),
    [
        ("hf://owner/model:v9", "has no such revision"),
        ("hf://owner/other", "is not at the hub, or HF_TOKEN may not read it"),
        ("hf://owner/a/b/c", "is no name of a model at the hub"),
    ],
)
def test_what_is_not_there_is_said(hub: Hub, address: str, advice: str) -> None:
    with pytest.raises(SourceError, match=advice) as raised:
        open_source(address).resolve()
    assert not raised.value.transient
    assert "hf_secret" not in str(raised.value)


def test_a_token_that_may_not_read_a_model_is_said(hub: Hub) -> None:
    hub.statuses = [403]
    with pytest.raises(SourceError, match="does not take HF_TOKEN for it; set one that may read it") as raised:
        model().resolve()
    assert not raised.value.transient


def test_a_hub_that_fails_may_be_asked_again(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.statuses = [503]
    with pytest.raises(SourceError, match="status 503") as raised:
        model().resolve()
    assert raised.value.transient
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    with pytest.raises(SourceError, match=r"no connection to 127.0.0.1:1: it is refused") as raised:
        model().resolve()
    assert raised.value.transient
