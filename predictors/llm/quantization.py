"""Decides whether a model can be served in 4 bits on this device, before the engine reads any weights."""

import json
from pathlib import Path
from typing import Literal

from switchyard.settings import SettingsError

Device = Literal["cpu", "cuda", "rocm", "other"]


def four_bit_method(model_dir: Path, device: Device) -> str | None:
    """Return the value of vLLM's ``--quantization`` for ``model_dir`` in 4 bits; None leaves it to the checkpoint.

    bitsandbytes quantizes any checkpoint while loading, on CUDA only. Since 0.28 vLLM has it in a package of its own,
    vllm-bnb-plugin, which the extra ``llm`` brings (https://github.com/vllm-project/vllm/pull/43529). A checkpoint that
    is already quantized (AWQ, GPTQ, compressed-tensors) names its own method.

    Raises:
        SettingsError: the device cannot; the message says which can and what else to do.
    """
    config = json.loads((model_dir / "config.json").read_text())
    if "quantization_config" in config:
        return None
    if device == "cuda":
        return "bitsandbytes"
    raise SettingsError(
        f"USE_4BIT=true, but {model_dir.name} holds full-precision weights and this machine's device is {device}: "
        "quantizing while loading (bitsandbytes) needs an NVIDIA GPU with CUDA. "
        "Serve it there, take a checkpoint that is already quantized (for a CPU compressed-tensors in W8A8), or set "
        "USE_4BIT=false."
    )
