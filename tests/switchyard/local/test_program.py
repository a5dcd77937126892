"""How commands are printed, for shells that find the program and for those that do not."""

import sys
from pathlib import Path

import pytest

from switchyard.local.program import program


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".venv" / "bin"
    folder.mkdir(parents=True)
    (folder / "switchyard").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.delenv("MAKELEVEL", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_shell_that_finds_the_program_gets_its_name(installed: Path) -> None:
    assert program() == "switchyard"


def test_a_shell_that_may_not_find_it_gets_its_path(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKELEVEL", "1")  # make found it, on a PATH of its own
    assert program() == ".venv/bin/switchyard"
    monkeypatch.delenv("MAKELEVEL")
    monkeypatch.setenv("PATH", "/nowhere")
    assert program() == ".venv/bin/switchyard"
    monkeypatch.chdir("/usr")
    assert program() == str(installed / "switchyard")
