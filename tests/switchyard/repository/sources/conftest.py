"""A real S3 server for all tests here, with a bucket for each test."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.switchyard.repository.sources.s3_server import S3Server, s3_server

_NUMBERS = itertools.count()


@dataclass(frozen=True, slots=True)
class Bucket:
    name: str
    server: S3Server
    client: Any

    def put(self, key: str, content: bytes, **options: str) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=content, **options)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with s3_server(tmp_path_factory.mktemp("s3")) as running:
        yield running


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    client = server.client()
    name = f"models-{next(_NUMBERS)}"
    client.create_bucket(Bucket=name)
    return Bucket(name, server, client)
