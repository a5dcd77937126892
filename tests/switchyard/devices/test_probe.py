"""A machine is asked by nvidia-smi, here by one of the test's own."""

from pathlib import Path

import pytest

from switchyard.devices.probe import FIELDS, probe


@pytest.fixture
def smi(tmp_path: Path) -> Path:
    return tmp_path / "nvidia-smi"


def script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_what_nvidia_smi_says_is_recorded(smi: Path) -> None:
    script(smi, 'if [ "$1" = -L ]; then echo "GPU 0: H200"; else echo "$@"; fi')
    found = probe({"PATH": str(smi.parent), "SWITCHYARD_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": "1"})

    assert (found.program, found.status) == (True, 0)
    assert found.output == f"--query-gpu={','.join(FIELDS)} --format=csv,noheader,nounits\n"
    assert found.listing == "GPU 0: H200\n"
    assert (found.wanted, found.visible) == ("cuda", "1")
    assert found.packages in ("cpu", "cuda")


def test_an_nvidia_smi_that_fails_is_recorded_with_its_words(smi: Path) -> None:
    script(smi, "echo no driver >&2; exit 9")
    found = probe({"PATH": str(smi.parent)})

    assert (found.status, found.output, found.listing, found.visible) == (9, "no driver\n", "", None)


def test_an_nvidia_smi_that_is_no_program_is_one_that_fails(smi: Path) -> None:
    smi.write_bytes(b"\x7fELF nothing")
    smi.chmod(0o755)

    assert probe({"PATH": str(smi.parent)}).status == 1


def test_a_machine_without_it_is_recorded(tmp_path: Path) -> None:
    assert not probe({"PATH": str(tmp_path)}).program
