"""Who gets to know the credentials of a registry, and where a registry cannot lead a client to."""

from collections.abc import Iterator

import pytest

from switchyard.repository.sources import SourceError, open_source
from switchyard.repository.sources.stores.reach import astray
from tests.switchyard.repository.sources.lying_store import LyingStore, Request, lying_store

BASIC = "Basic dXNlcjpodW50ZXIy"  # user:hunter2


@pytest.fixture
def challenge() -> list[str]:
    return ["Basic"]


@pytest.fixture
def registry(challenge: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[LyingStore]:
    """A registry that takes nobody."""

    def respond(request: Request) -> None:
        request.send(401, www_authenticate=challenge[0])

    with lying_store(respond) as store:
        for name, value in (("USERNAME", "user"), ("PASSWORD", "hunter2"), ("REGISTRY", store.place)):
            monkeypatch.setenv(f"OCI_{name}", value)
        monkeypatch.setenv("NO_PROXY", "*")
        yield store


def said(store: LyingStore) -> str:
    with pytest.raises(SourceError) as raised:
        open_source(f"oci://{store.place}/models/tiny:v1").resolve()
    return str(raised.value)


def told(store: LyingStore) -> list[str]:
    return [headers.get("authorization", "") for headers in store.asked]


def test_credentials_are_told_to_their_registry_once_it_asks(registry: LyingStore) -> None:
    said(registry)
    assert told(registry) == ["", BASIC]


def test_credentials_of_another_registry_are_not_told(registry: LyingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCI_REGISTRY", "registry.example")
    said(registry)
    assert set(told(registry)) == {""}


def test_credentials_of_no_registry_are_not_told(registry: LyingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCI_REGISTRY")
    assert "set OCI_REGISTRY" in said(registry)
    assert not registry.asked


@pytest.mark.parametrize(
    ("realm", "reason"),
    [
        ("http://192.0.2.1/token", "is not https"),
        ("http://169.254.169.254/latest", "is not https"),
        ("https://169.254.169.254/latest", "is an address of this machine or its surroundings"),
        ("https://192.0.2.1/token", "name that host in OCI_TOKEN_HOSTS"),
    ],
)
def test_credentials_are_not_told_to_whom_a_registry_names(
    realm: str, reason: str, registry: LyingStore, challenge: list[str]
) -> None:
    challenge[0] = f'Bearer realm="{realm}",service="x"'
    assert reason in said(registry)
    assert told(registry) == [""]


@pytest.mark.parametrize(
    ("url", "origin", "reason"),
    [
        ("https://192.0.2.1/a", "https://192.0.2.2/b", ""),
        ("https://192.0.2.1/a", "http://192.0.2.2/b", ""),
        ("http://192.0.2.1:1/a", "http://192.0.2.1:2/b", ""),
        ("http://192.0.2.1/a", "https://192.0.2.1/b", "is not https"),
        ("file:///etc/passwd", "https://192.0.2.1/b", "is no address"),
        ("https://[::1]:x/a", "https://[::", "is no address"),
        ("https://127.0.0.1/a", "https://192.0.2.1/b", "surroundings"),
        ("https://0.0.0.0/a", "https://192.0.2.1/b", "surroundings"),
        ("https://[fe80::1]/a", "https://192.0.2.1/b", "surroundings"),
        ("https://[fd00:ec2::254]/a", "https://192.0.2.1/b", "surroundings"),
        ("https://[::ffff:169.254.169.254]/a", "https://192.0.2.1/b", "surroundings"),
        ("https://2852039166/a", "https://192.0.2.1/b", "surroundings"),  # 169.254.169.254
    ],
)
def test_where_a_store_may_lead(url: str, origin: str, reason: str) -> None:
    assert (reason in astray(url, origin)) if reason else not astray(url, origin)
