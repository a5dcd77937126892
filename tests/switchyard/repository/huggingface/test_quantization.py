"""Quantized weights are judged for the device that models run on."""

import re
from pathlib import Path

import pytest

from switchyard.repository.huggingface.inspector import inspect
from switchyard.repository.inspection import Device, Surroundings
from tests.manifests.documents import ROOT
from tests.switchyard.repository.huggingface.models import copy_of, edit
from tests.switchyard.repository.huggingface.quantized import CASES, RUNS_ON_A_CPU

A10G = Device(kind="cuda", memory=20 << 30, compute_capability=(8, 6))
T4 = Device(kind="cuda", name="Tesla T4", memory=14 << 30, compute_capability=(7, 5))


def sentences(folder: Path, device: Device, **config: object) -> list[str]:
    edit("config.json", **config)(folder)
    return [fault.message for fault in inspect(folder, Surroundings(device=device)).faults]


@pytest.mark.parametrize("case", CASES)
def test_a_cpu_runs_some_of_compressed_tensors_and_says_which_of_the_others(case: str, tmp_path: Path) -> None:
    found = sentences(copy_of("chat-fast", tmp_path), Device(), quantization_config=CASES[case])
    if case in RUNS_ON_A_CPU:
        assert found == []
    else:
        (sentence,) = found
        assert "in float32 on a CPU: take the model without quantization, one of compressed-tensors in W8A8" in sentence


@pytest.mark.parametrize("method", ["awq", "gptq", "fp8", "bitsandbytes", "compressed-tensors", "mxfp4"])
def test_a_gpu_runs_what_a_cpu_does_not(method: str, tmp_path: Path) -> None:
    config = {"quant_method": method, "bits": 4, "load_in_4bit": True}
    assert sentences(copy_of("chat-fast", tmp_path), A10G, quantization_config=config) == []


@pytest.mark.parametrize("method", ["torchao", "fp8_per_tensor", "fbgemm_fp8"])
def test_what_vllm_does_not_load_from_a_checkpoint_is_rejected_on_every_device(method: str, tmp_path: Path) -> None:
    for number, device in enumerate((Device(), A10G)):
        folder = copy_of("chat-fast", tmp_path / str(number))
        (sentence,) = sentences(folder, device, quantization_config={"quant_method": method})
        assert re.search(rf"quantized by '?{method}'?, which vLLM 0\.\d+\.\d+ does not load: ", sentence)


def test_a_type_that_the_method_does_not_compute_in_is_said(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    (sentence,) = sentences(folder, A10G, dtype="float16", quantization_config={"quant_method": "mxfp4"})
    assert sentence.startswith(
        "config.json says that the weights are quantized by mxfp4, which computes in bfloat16, but the model's type "
        'here is float16: write "dtype": "bfloat16"'
    )


def test_gpus_without_bfloat16_compute_in_float16(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    edit("config.json", dtype="bfloat16")(folder)
    for device, dtype in ((T4, "float16"), (A10G, "bfloat16"), (Device(), "float32")):
        facts = inspect(folder, Surroundings(device=device)).facts
        assert facts
        assert facts.dtype == dtype


@pytest.mark.parametrize("lock", ["llm-gpu", "predictor-gpu"])
def test_environments_for_gpus_have_what_quantizes_by_bitsandbytes(lock: str) -> None:
    lines = (ROOT / f"requirements/{lock}.lock").read_text().splitlines()
    packages = {line.split("==")[0] for line in lines if "==" in line and not line.startswith(" ")}
    assert {"vllm", "vllm-bnb-plugin", "bitsandbytes"} <= packages
