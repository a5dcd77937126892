"""A store whose listing never ends, in each of the ways a listing can: it is bounded, and said."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from switchyard.repository.sources import Follower, SourceError, SourceEvent, StoppedError, open_source, parse
from switchyard.repository.sources.listing import Limits
from tests.switchyard.repository.sources.lying_store import LyingStore, Request, lying_store

# Google's client says so where gRPC is installed without an extra that it would use there; not over HTTP.
pytestmark = pytest.mark.filterwarnings("ignore:Please install grpcio-status:ImportWarning")

SOURCES = {
    "s3": "s3://models/tiny",
    "gs": "gs://models/tiny",
    "hf": "hf://lab/tiny",
    "oci": "oci://{}/models/tiny:v1",
}
Point = Callable[[LyingStore], None]


@pytest.fixture(autouse=True)
def point(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Point:
    """Point all clients to a store."""
    for name in ("AWS_PROFILE", "OCI_USERNAME", "OCI_PASSWORD", "HF_TOKEN", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "eu", "NO_PROXY": "*"}
    for name, value in (*keys.items(), ("AWS_CONFIG_FILE", str(tmp_path / "none")), ("HOME", str(tmp_path))):
        monkeypatch.setenv(name, value)

    def to(store: LyingStore) -> None:
        for name in ("AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST", "HF_ENDPOINT"):
            monkeypatch.setenv(name, f"http://{store.place}")

    return to


def page(kind: str, number: int, *keys: str) -> bytes:
    """A page of a listing with a token of its own, which says that others come."""
    if kind == "gs":
        items = [{"name": f"tiny/{key}", "size": "1", "generation": "1"} for key in keys]
        return json.dumps({"items": items, "nextPageToken": str(number)}).encode()
    contents = "".join(
        f'<Contents><Key>tiny/{key}</Key><Size>1</Size><ETag>"e"</ETag>'
        "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
        for key in keys
    )
    told = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{number}</NextContinuationToken>"
    return f"<ListBucketResult>{contents}{told}</ListBucketResult>".encode()


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_pages_without_files_end(kind: str, point: Point) -> None:
    with lying_store(lambda request: request.send(200, page(kind, len(request.server.paths)))) as store:
        point(store)
        with pytest.raises(SourceError, match="a listing of more than 5 pages"):
            open_source(SOURCES[kind], limits=Limits(pages=5)).resolve()
        assert len(store.paths) == 6


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_names_that_are_no_files_end(kind: str, point: Point) -> None:
    def respond(request: Request) -> None:
        number = len(request.server.paths)
        request.send(200, page(kind, number, f"{number}/", f"{number}/a/"))

    with lying_store(respond) as store:
        point(store)
        with pytest.raises(SourceError, match="more than 5 names of folders"):
            open_source(SOURCES[kind], limits=Limits(files=5)).resolve()
        assert len(store.paths) == 3


@pytest.mark.parametrize("status", [200, 500])
@pytest.mark.parametrize("kind", SOURCES)
def test_a_response_without_an_end_is_not_read_to_it(kind: str, status: int, point: Point) -> None:
    sent: list[int] = []

    def respond(request: Request) -> None:
        request.send_response(status)
        request.end_headers()
        request.close_connection = True
        while len(sent) < 1000 and not request.server.closing.is_set():
            request.wfile.write(b" " * (1 << 20))
            sent.append(1)

    with lying_store(respond) as store:
        point(store)
        with pytest.raises(SourceError, match=r"of more than [\d,]+ bytes|status 500"):
            open_source(SOURCES[kind].format(store.place)).resolve()
        assert len(sent) < 200


@pytest.mark.parametrize("kind", SOURCES)
def test_a_listing_that_drips_is_told_and_does_not_outlive_a_stop(kind: str, point: Point, tmp_path: Path) -> None:
    events: list[SourceEvent] = []
    with lying_store(lambda request: request.send_for_ever(b" ", 0.05)) as store:
        point(store)
        location = parse(f"llm/tiny={SOURCES[kind].format(store.place)}")
        following = Follower(location, open_source(location), tmp_path, events.append, listing_seconds=0.3)
        assert not following.poll()
        assert not following.poll()
        assert len(store.paths) == 1  # no second one beside it
        assert "its listing goes on for more than" in events[-1].message
        waiting = Follower(location, open_source(location), tmp_path, events.append)
        thread = threading.Thread(target=waiting.run, daemon=True)
        thread.start()
        waiting.stop()
        thread.join(30)
        assert not thread.is_alive()


def test_a_stop_is_no_failure(tmp_path: Path) -> None:
    assert issubclass(StoppedError, SourceError)
    events: list[SourceEvent] = []
    location = parse("llm/tiny=s3://models/tiny")
    following = Follower(location, open_source(location), tmp_path, events.append)
    following.stop()
    assert following.poll()
    assert not events


@pytest.mark.parametrize("target", ["http://192.0.2.1/x", "https://169.254.169.254/x", "file:///etc/passwd"])
def test_a_hub_does_not_redirect_into_this_network(target: str, point: Point) -> None:
    with lying_store(lambda request: request.send(302, location=target)) as store:
        point(store)
        with pytest.raises(SourceError, match="redirects to where no request is sent"):
            open_source(SOURCES["hf"]).resolve()
