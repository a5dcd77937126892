"""The engines' schemas that the gateway has are those of the engines that are installed."""

import os
import subprocess
import sys

from tools.openapi import FILE


def test_the_file_is_what_the_tool_would_write() -> None:
    # In a process of its own: vLLM's import takes seconds and starts threads.
    code = "import sys, tools.openapi; sys.stdout.write(tools.openapi.text())"
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)

    assert done.stdout.endswith(FILE.read_text()), "run python -m tools.openapi"
