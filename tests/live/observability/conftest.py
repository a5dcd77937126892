"""One platform that is observed, for all modules of this folder that only make requests: `switchyard up --observe`."""

from collections.abc import Iterator

import httpx
import pytest

from tests.live.observability.traffic import SECRET, SharedPlatform
from tests.live.platform import http_client


@pytest.fixture(scope="package")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPlatform]:
    """The URLs of what observes it are ``record()["observers"]``: prometheus, alertmanager, jaeger, otlp."""
    made = SharedPlatform(tmp_path_factory.mktemp("observed"))
    try:
        made.up("--observe")
        yield made
        made.down()
    finally:
        made.close()


@pytest.fixture(scope="package")
def first_embedding(observed: SharedPlatform) -> httpx.Response:
    """The response that waited for the model ``embed`` to wake; whoever needs that model takes it before."""
    with http_client(observed) as client:
        return client.post("/v1/embeddings", json={"model": "embed", "input": SECRET})
