"""How much memory models may take here, and how much processes hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from switchyard.local.memory.measure import Meter, available, capacity, held
from switchyard.settings import SettingsError

GIB = 1024**3


@pytest.mark.parametrize(
    ("text", "expected"), [("12Gi", 12 * GIB), ("12GiB", 12 * GIB), ("1500M", 1_500_000_000), ("1024", 1024)]
)
def test_a_size_is_taken_as_it_is_said(text: str, expected: int) -> None:
    assert capacity({"SWITCHYARD_MEMORY": text}, device=80 * GIB) == expected


def test_a_share_is_of_the_device_or_of_what_is_free() -> None:
    assert capacity({"SWITCHYARD_MEMORY": "50%"}, device=80 * GIB) == 40 * GIB
    assert 0 < capacity({"SWITCHYARD_MEMORY": "50%"}) < capacity({"SWITCHYARD_MEMORY": "100%"})


def test_without_a_setting_it_is_the_devices_or_most_of_what_is_free() -> None:
    assert capacity({}, device=80 * GIB) == 80 * GIB
    assert 0 < capacity({}) < available() * 1.5


@pytest.mark.parametrize("text", ["much", "0%", "120%", "-1Gi", "12 Gi b", "Gi", "5Xi"])
def test_what_is_neither_is_rejected_by_its_name(text: str) -> None:
    with pytest.raises(SettingsError, match="SWITCHYARD_MEMORY is"):
        capacity({"SWITCHYARD_MEMORY": text})


def test_a_container_has_what_its_own_limit_leaves(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{3 * 1024**2}\n")
    (tmp_path / "memory.current").write_text(f"{1024**2}\n")
    assert available(tmp_path) == 2 * 1024**2
    (tmp_path / "memory.max").write_text("max\n")
    assert available(tmp_path) == pytest.approx(available(tmp_path / "none"), rel=0.5)


def test_a_process_is_measured_with_its_children_and_one_that_is_gone_holds_nothing() -> None:
    code = "import subprocess, sys; b = bytearray(64 << 20); subprocess.run([sys.executable, '-c', sys.argv[1]])"
    child = "b = bytearray(64 << 20); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, child], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert held(process.pid) > 120 * 1024**2
        process.communicate(b"\n")
    assert held(process.pid) == 0


def test_what_was_measured_a_moment_ago_is_not_measured_again() -> None:
    meter = Meter(seconds=3600)
    first = meter.held(os.getpid())
    assert first > 0
    kept = bytearray(32 << 20)
    assert meter.held(os.getpid()) == first
    assert len(kept) == 32 << 20
