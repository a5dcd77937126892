"""Google's client, as we call it, against the two calls of the JSON API that it makes here."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from switchyard.repository.sources import Source, SourceChangedError, SourceError, fetch, open_source
from tests.switchyard.repository.sources.test_fetching import content_of

# Google's client says so where gRPC is installed without an extra that it would use there; not over HTTP.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")

MODEL = {"config.json": b"{}", "model.safetensors": b"w" * 9_000_000, "empty": b""}


class Bucket(ThreadingHTTPServer):
    """A bucket ``models`` with objects below ``llm/tiny/``; every write makes a new generation."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, tuple[int, bytes]] = {}
        self.ranges: list[str] = []
        self.failures: list[int] = []
        for name, content in MODEL.items():
            self.put(f"llm/tiny/{name}", content)

    def put(self, name: str, content: bytes) -> None:
        self.objects[name] = (self.objects.get(name, (100, b""))[0] + 1, content)


class Handler(BaseHTTPRequestHandler):
    server: Bucket

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.server.failures:
            self._send(self.server.failures.pop(0), b"{}")
        elif parts.path == "/storage/v1/b/models/o":
            found = sorted(name for name in self.server.objects if name.startswith(query.get("prefix", "")))
            self._send(200, json.dumps({"items": [self._about(name) for name in found]}).encode())
        elif parts.path.startswith("/download/storage/v1/b/models/o/"):
            self._content(unquote(parts.path.rpartition("/o/")[2]), int(query["generation"]))
        else:
            self._send(404, b"{}")

    def _about(self, name: str) -> dict[str, str]:
        generation, content = self.server.objects[name]
        md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
        return {"name": name, "size": str(len(content)), "generation": str(generation), "md5Hash": md5}

    def _content(self, name: str, generation: int) -> None:
        found, content = self.server.objects[name]
        if found != generation:
            self._send(404, b"{}")
            return
        first, last = map(int, self.headers["range"].removeprefix("bytes=").split("-"))
        self.server.ranges.append(f"{first}-{last}")
        self.send_response(206)
        self.send_header("content-range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("content-length", str(last + 1 - first))
        self.end_headers()
        self.wfile.write(content[first : last + 1])

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    with Bucket() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{running.server_address[1]}")
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setenv("NO_GCE_CHECK", "true")
        yield running
        running.shutdown()


def model() -> Source:
    return open_source("gs://models/llm/tiny")


def test_a_prefix_arrives_as_a_folder_in_parts(bucket: Bucket, tmp_path: Path) -> None:
    fetch(model(), model().resolve(), tmp_path / "m")
    assert content_of(tmp_path / "m") == MODEL
    assert sorted(bucket.ranges) == ["0-1", "0-8388607", "8388608-8999999"]


def test_a_read_that_fails_is_gone_on_with(bucket: Bucket, tmp_path: Path) -> None:
    remote = model().resolve()
    bucket.failures = [503, 429]
    fetch(model(), remote, tmp_path / "m")
    assert content_of(tmp_path / "m") == MODEL


def test_an_object_that_is_replaced_is_never_mixed_with_the_old(bucket: Bucket, tmp_path: Path) -> None:
    remote = model().resolve()
    bucket.put("llm/tiny/config.json", b"[]")
    assert model().resolve().revision != remote.revision
    with pytest.raises(SourceChangedError, match="was replaced or removed"):
        fetch(model(), remote, tmp_path / "m")


def test_other_bytes_than_were_listed_are_found(bucket: Bucket, tmp_path: Path) -> None:
    remote = model().resolve()
    bucket.objects["llm/tiny/config.json"] = (bucket.objects["llm/tiny/config.json"][0], b"[]")
    with pytest.raises(SourceError, match=r"'config.json' came with the md5"):
        fetch(model(), remote, tmp_path / "m")


@pytest.mark.parametrize(
    ("status", "reason", "transient"),
    [(403, "may not read it", False), (404, "no such bucket", False), (503, "status 503", True)],
)
def test_what_the_store_refuses_is_said(bucket: Bucket, status: int, reason: str, transient: bool) -> None:
    bucket.failures = [status] * 3
    with pytest.raises(SourceError, match=reason) as raised:
        model().resolve()
    assert raised.value.transient == transient
