"""``inputs_cases.py`` in a process of its own: KServe's messages and tritonclient's have the same names in protobuf."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
CASES = Path(__file__).with_name("inputs_cases.py")


def test_inputs_that_contradict_themselves_are_rejected() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
