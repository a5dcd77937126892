"""What every process says of itself."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from prometheus_client import generate_latest

from switchyard.telemetry.process import registry_of
from tests.exposition import samples


def test_a_process_says_its_version_its_part_and_what_it_uses() -> None:
    found = {one.name: one for one in samples(generate_latest(registry_of("gateway")).decode())}
    assert found["switchyard_build_info"].labels == {"version": version("switchyard-serving"), "component": "gateway"}
    assert found["process_resident_memory_bytes"].value > 0
    assert found["process_open_fds"].value > 0
    assert "python_info" in found


@pytest.mark.parametrize(
    ("module", "of"),
    [
        ("gateway.app", "gateway"),
        ("router.server", "graph"),
        ("local.supervisor.assembly", "local"),
        ("sync.program", "repository"),
    ],
)
def test_a_process_imports_no_metrics_of_others(module: str, of: str) -> None:
    code = f"import sys, switchyard.{module}; print(*(m for m in sys.modules if 'telemetry.metrics.' in m))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert sorted(found) == [f"switchyard.telemetry.metrics.{name}" for name in sorted({"families", of})]
