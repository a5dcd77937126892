"""What the sync does with the settings of signatures at its start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.switchyard.repository import onnx_models
from tests.switchyard.repository.test_signature import key_pair, sign
from tests.switchyard.sync.program import Program


def test_required_signatures_without_keys_are_told_at_the_start(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "switchyard.sync", "--source", tmp_path, "--published", tmp_path / "published")
    environment = {**os.environ, "SWITCHYARD_MODEL_SIGNATURES": "require"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "SWITCHYARD_MODEL_SIGNATURES is require, but SWITCHYARD_MODEL_KEYS names no keys" in done.stderr


def test_a_start_ends_the_service_of_what_no_key_vouches_for_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sync = Program(tmp_path)
    for name in ("ada", "grace", "unsigned"):
        onnx_models.relu(sync.source / "vision" / name)
        if name != "unsigned":
            key_pair(tmp_path, name)
            sign(sync.source / "vision" / name, "key", "--private_key", tmp_path / f"{name}.private")

    def served() -> set[str]:
        return {name for name in ("ada", "grace", "unsigned") if sync.target("vision", name)}

    monkeypatch.setenv("SWITCHYARD_MODEL_KEYS", str(tmp_path / "keys"))
    with sync:
        sync.wait(lambda: served() == {"ada", "grace", "unsigned"})
    (tmp_path / "keys/ada.pem").unlink()
    with sync:
        failed = sync.wait_for("ada", "failed")
        assert "by none of the keys that are trusted here (grace.pem)" in failed.reason
        assert not failed.digest
        assert served() == {"grace", "unsigned"}

    monkeypatch.setenv("SWITCHYARD_MODEL_SIGNATURES", "require")
    (sync.source / "vision/grace/1/model.onnx").write_bytes(b"an edit that breaks it")
    with sync:
        assert sync.wait_for("grace", "failed").digest
        assert not sync.wait_for("unsigned", "failed").digest
        assert served() == {"grace"}  # the former content, whose key is trusted still
