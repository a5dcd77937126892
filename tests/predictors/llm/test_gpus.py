"""``gpu_*`` are NVML's: the real pynvml loads a stub of the driver's library, as there may be no GPU here."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.exposition import samples

SOURCE = Path(__file__).parents[2] / "testdata" / "nvml.c"
# A process of its own: a library is found by the environment of the process's start. It is scraped once for each line
# of its standard input, which is what the stub's file then says.
PROGRAM = """
import os, sys
from pathlib import Path
from prometheus_client import CollectorRegistry, generate_latest
from predictors.llm.gpus import publish_gpus
from switchyard.telemetry.metrics.predictors import InferenceMetrics
registry = CollectorRegistry()
publish_gpus(InferenceMetrics(registry), os.environ)
for line in sys.stdin:
    Path(os.environ["NVML_STUB"]).write_text(line.strip())
    print(generate_latest(registry).decode() + "# next")
"""
WHOLE = {
    ("gpu_utilization", "0"): 0.25,
    ("gpu_utilization", "1"): 0.5,
    ("gpu_memory_used_bytes", "0"): 10,
    ("gpu_memory_used_bytes", "1"): 20,
    ("gpu_memory_total_bytes", "0"): 1000,
    ("gpu_memory_total_bytes", "1"): 2000,
}
SECOND = {key: value for key, value in WHOLE.items() if key[1] == "1"}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", folder / "libnvidia-ml.so.1", SOURCE], check=True)
    return folder


def scrapes(library: Path | None, *states: str, **environ: str) -> list[dict[tuple[str, str], float]]:
    """The samples of ``gpu_*`` in each state of the stub, by name and device."""
    base = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    here = {"LD_LIBRARY_PATH": str(library), "NVML_STUB": str(library / "state")} if library else {}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**base, "NVML_STUB": os.devnull, **here, **environ},
        input="\n".join(states) + "\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    pages = done.stdout.split("# next\n")[:-1]
    return [
        {(one.name, one.labels["device"]): one.value for one in samples(page) if one.name.startswith("gpu_")}
        for page in pages
    ]


def test_each_device_says_how_busy_and_how_full_it_is(library: Path) -> None:
    assert scrapes(library, "fine") == [WHOLE]


def test_a_device_that_is_lost_has_no_samples_until_it_is_back_and_the_page_goes_on(library: Path) -> None:
    assert scrapes(library, "fine", "lost", "fine") == [WHOLE, SECOND, WHOLE]


def test_a_driver_that_comes_later_is_found(library: Path) -> None:
    assert scrapes(library, "absent", "fine") == [{}, WHOLE]


def test_the_devices_are_those_of_this_process_in_its_order(library: Path) -> None:
    (found,) = scrapes(library, "fine", CUDA_VISIBLE_DEVICES="GPU-bbbb, 0, GPU-of-another-machine")
    assert {name: found["gpu_memory_total_bytes", name] for name in ("0", "1")} == {"0": 2000, "1": 1000}
    assert len(found) == 6
    assert scrapes(library, "fine", CUDA_VISIBLE_DEVICES="") == [{}]


def test_a_part_of_a_device_has_memory_and_no_utilization(library: Path) -> None:
    (found,) = scrapes(library, "fine", CUDA_VISIBLE_DEVICES="MIG-aaaa")
    assert found == {("gpu_memory_used_bytes", "0"): 30, ("gpu_memory_total_bytes", "0"): 3000}


def test_without_a_driver_there_are_no_samples() -> None:
    found = scrapes(None, "fine", CUDA_VISIBLE_DEVICES="")
    assert found == [{}]
