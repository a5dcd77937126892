"""What the model repository says of vLLM is what the installed one serves."""

import os
import subprocess
import sys

import pytest

from tools.vllm_support import FILE

pytestmark = pytest.mark.live  # imports vLLM and the models of transformers: 20 s


def test_the_file_is_what_the_tool_would_write() -> None:
    code = "import sys, tools.vllm_support; sys.stdout.write(tools.vllm_support.text())"
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.endswith(FILE.read_text()), "run python -m tools.vllm_support"
