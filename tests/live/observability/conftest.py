"""One platform that is observed, for all modules of this folder that only make requests: `switchyard up --observe`."""

from collections.abc import Iterator

import pytest

from tests.live.platform import Platform, running

# As fast as Prometheus goes; spans are sent as they end.
VARIABLES = {"SWITCHYARD_SCRAPE_INTERVAL": "1s", "OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture(scope="package")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The URLs of what observes it are ``record()["observers"]``: prometheus, alertmanager, jaeger, otlp."""
    with running(tmp_path_factory.mktemp("observed"), "--observe", variables=VARIABLES) as made:
        yield made
