"""Signatures that nobody could verify stop the sync at its start."""

import os
import subprocess
import sys
from pathlib import Path


def test_required_signatures_without_keys_are_told_at_the_start(tmp_path: Path) -> None:
    command = (sys.executable, "-m", "switchyard.sync", "--source", tmp_path, "--published", tmp_path / "published")
    environment = {**os.environ, "SWITCHYARD_MODEL_SIGNATURES": "require"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "SWITCHYARD_MODEL_SIGNATURES is require, but SWITCHYARD_MODEL_KEYS names no keys" in done.stderr
