"""Which gateway gets the key of a command: no key goes to somebody else's by default."""

import os
from pathlib import Path

import pytest

from switchyard.cli.gateway import gateway_url
from switchyard.local.processes import identities
from switchyard.local.status.run_directory import VARIABLE, Run, StateDirectory


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, str(tmp_path / "state"))
    monkeypatch.delenv("SWITCHYARD_PORT", raising=False)
    return tmp_path / "state"


def run_at(folder: Path, url: str) -> None:
    me = identities.identify(os.getpid())
    assert me is not None
    run = Run(supervisor=me, overlay="", rendered="", run_id="", gateway=url, gateway_name="gateway", control="")
    directory = StateDirectory(folder)
    directory.make()
    directory.write(run)


def test_a_url_that_is_given_is_the_one(folder: Path) -> None:
    run_at(folder, "http://127.0.0.1:8123")
    assert gateway_url("https://gateway.example") == "https://gateway.example"


def test_the_run_of_this_folder_is_asked_and_else_the_usual_port(folder: Path) -> None:
    assert gateway_url("") == "http://localhost:8000"
    run_at(folder, "https://127.0.0.1:8123")
    assert gateway_url("") == "https://127.0.0.1:8123"


def test_a_port_of_the_shell_is_before_the_run_of_this_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_at(folder, "https://127.0.0.1:8123")
    monkeypatch.setenv("SWITCHYARD_PORT", "8123")
    assert gateway_url("") == "https://127.0.0.1:8123"
    monkeypatch.setenv("SWITCHYARD_PORT", "9000")
    assert gateway_url("") == "http://localhost:9000"
