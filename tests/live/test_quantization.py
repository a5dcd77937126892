"""What the judge says that vLLM runs on a CPU of quantized weights, the installed vLLM runs, and nothing else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manifests.documents import ROOT
from tests.switchyard.repository.huggingface.quantized import CASES, RUNS_ON_A_CPU

pytestmark = pytest.mark.live

# One process, since it imports for 10 s, and an engine in it for each model, with dummies of weights. What runs comes
# first: an engine that fails leaves torch's groups behind, and the next one's failure may be that.
_CHILD = """
import json, sys
from vllm import LLM, SamplingParams
for folder in sys.argv[1:]:
    try:
        size = dict(max_model_len=128, kv_cache_memory_bytes=64 << 20)
        model = LLM(model=folder, load_format="dummy", dtype="float32", enforce_eager=True, **size)
        model.generate(["hello"], SamplingParams(max_tokens=2), use_tqdm=False)
        reason = ""
        del model
    except Exception as err:
        reason = f"{type(err).__name__}: {err}"
    print("RAN", json.dumps([folder, reason]), flush=True)
"""


def test_a_cpu_runs_what_the_judge_lets_pass_and_nothing_else(tmp_path: Path) -> None:
    folders = {}
    for number, case in enumerate(sorted(CASES, key=lambda case: case not in RUNS_ON_A_CPU)):
        folder = tmp_path / str(number)
        shutil.copytree(ROOT / "model-repository/llm/chat-fast", folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "quantization_config": CASES[case]}))
        folders[str(folder)] = case
    environment = {
        **os.environ,
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", _CHILD, *folders]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)
    rows = [json.loads(line.removeprefix("RAN ")) for line in done.stdout.splitlines() if line.startswith("RAN ")]
    ran = {folders[folder]: reason for folder, reason in rows}

    assert ran.keys() == CASES.keys(), done.stderr[-2000:]
    assert {case for case, reason in ran.items() if not reason} == RUNS_ON_A_CPU, ran
