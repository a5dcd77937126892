"""One platform that is observed, for all modules of this folder that only make requests: `switchyard up --observe`."""

import json
from collections.abc import Iterator

import pytest

from switchyard.gateway.tenants.keys import digest
from tests.live.platform import Platform, running
from tests.live.processes import KEY

# As fast as Prometheus goes; spans are sent as they end.
VARIABLES = {"SWITCHYARD_SCRAPE_INTERVAL": "1s", "OTEL_BSP_SCHEDULE_DELAY": "100"}


@pytest.fixture(scope="package")
def observed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The URLs of what observes it are ``record()["observers"]``: prometheus, alertmanager, jaeger, otlp.

    Its one tenant is acme, which has ``KEY``.
    """
    folder = tmp_path_factory.mktemp("observed")
    tenant = {"name": "acme", "keys": [{"id": "acme-key", "sha256": digest(KEY.encode()).hex()}]}
    (file := folder / "tenants.yaml").write_text(json.dumps({"tenants": [tenant]}))
    with running(folder, "--observe", variables={**VARIABLES, "SWITCHYARD_TENANTS": str(file)}) as made:
        yield made
