"""The sync judges for the device that models run on."""

import os
import subprocess
import sys
from pathlib import Path


def test_a_device_that_cannot_be_used_is_said_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "switchyard.sync", "--source", str(tmp_path), "--published", str(tmp_path / "p")]
    env = {**os.environ, "SWITCHYARD_DEVICE": "tpu"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr == "sync: SWITCHYARD_DEVICE is 'tpu': it must be cpu, cuda, or empty to find out\n"


def test_in_a_cluster_the_overlay_says_what_models_run_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "switchyard.sync", "--source", str(tmp_path), "--published", str(tmp_path / "p")]
    env = {**os.environ, "SWITCHYARD_DEVICE": "cuda", "SWITCHYARD_DEVICE_MEMORY": "24Gi"}
    env.pop("SWITCHYARD_DEVICE_CAPABILITY", None)
    done = subprocess.run([*command, "--in_cluster"], env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 2
    assert done.stderr == "sync: SWITCHYARD_DEVICE_CAPABILITY is '': SWITCHYARD_DEVICE=cuda needs it, as in 8.6\n"
