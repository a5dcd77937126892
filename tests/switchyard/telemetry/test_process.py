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


USED_UP = """
import os, resource
from prometheus_client import generate_latest
from switchyard.telemetry.process import {registry}
registry = {registry}("{component}")
generate_latest(registry)  # what is read at a first scrape alone
resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))
try:
    while True:
        os.open(os.devnull, os.O_RDONLY)
except OSError:
    print(generate_latest(registry).decode())
"""


@pytest.mark.parametrize(("registry", "component"), [("registry_of", "gateway"), ("shared_registry", "llm")])
def test_a_process_whose_file_descriptors_are_used_up_says_so(registry: str, component: str) -> None:
    code = USED_UP.format(registry=registry, component=component)
    page = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    found = {one.name: one.value for one in samples(page)}
    assert (found["process_open_fds"], found["process_max_fds"]) == (50, 50)


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
