"""What every process says of itself."""

from importlib.metadata import version

from prometheus_client import generate_latest

from switchyard.telemetry.process import registry_of
from tests.exposition import samples


def test_a_process_says_its_version_its_part_and_what_it_uses() -> None:
    found = {one.name: one for one in samples(generate_latest(registry_of("gateway")).decode())}
    assert found["switchyard_build_info"].labels == {"version": version("switchyard-serving"), "component": "gateway"}
    assert found["process_resident_memory_bytes"].value > 0
    assert found["process_open_fds"].value > 0
    assert "python_info" in found
