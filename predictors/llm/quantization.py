"""Whether a model can be served in 4 bits here, decided before the engine reads a single weight."""

import json
from pathlib import Path
from typing import Literal

from switchyard.settings import SettingsError

Device = Literal["cpu", "cuda", "rocm", "other"]


def four_bit_method(model_dir: Path, device: Device) -> str | None:
    """The value of vLLM's ``--quantization`` that serves ``model_dir`` in 4 bits; None leaves it to the checkpoint.

    bitsandbytes quantises any checkpoint while loading, on CUDA only (vLLM, "Supported hardware" of its quantization
    docs); a checkpoint that was quantised beforehand (AWQ, GPTQ, compressed-tensors) names its own method.

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
        "quantising while loading (bitsandbytes) needs an NVIDIA GPU with CUDA. "
        "Serve it there, use a checkpoint that is already quantised (AWQ or GPTQ), or set USE_4BIT=false."
    )
