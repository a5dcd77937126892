"""What a model needs while it is served, and the longest context for which that is there."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from switchyard.repository.huggingface.model_config import CONFIG, ModelConfig
from switchyard.repository.huggingface.tensors import WeightTensor
from switchyard.repository.inspection import Device
from switchyard.repository.verdict import Fault, FaultCode, Kind, Memory

_MIB, _GIB = 1024**2, 1024**3
# kustomize/components/cpu: what every model is given on a CPU, and more if one request of full length needs it.
_CPU_KV_CACHE = 256 * _MIB
# Beside weights and cache: on a CPU what a predictor has of its own, forked from the preloaded parent
# (docs/benchmarks.md); on a GPU the CUDA context, buffers and graphs.
_OVERHEAD = {"cpu": 512 * _MIB, "cuda": 1536 * _MIB}
_BLOCK_TOKENS = 256  # the largest that vLLM chooses
_LEAST_CONTEXT = 2048  # a model that cannot be given this, or its own length if that is less, is not worth serving
_ENCODER = re.compile(r"[Bb]ert|Gte|CLIP|Siglip")  # they read a text at once, and keep nothing for the next token
_DTYPE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True, slots=True)
class Fit:
    """``context_length`` is at most the model's own; ``fault`` says why the model cannot be served."""

    memory: Memory
    context_length: int
    fault: Fault | None = None


def served_dtype(config: ModelConfig, kind: Kind, device: Device) -> str:
    """Return what the engine computes in: float32 on a CPU (components/cpu), else what vLLM's ``auto`` decides.

    GPUs of compute capability 7.x have no bfloat16 (vLLM, ``CudaPlatform.supported_dtypes``).
    """
    if device.kind == "cpu":
        return "float32"
    if device.compute_capability is not None and device.compute_capability < (8, 0):
        return "float16"
    if config.dtype in ("", "float32"):
        return "float16" if kind == "embedding" else "bfloat16"
    return config.dtype


def fit(
    config: ModelConfig, tensors: Mapping[str, WeightTensor], kind: Kind, dtype: str, longest: int, device: Device
) -> Fit:
    """Fit weights, KV cache and the engine's own memory into that of ``device``.

    Where there is not enough for a request of ``longest`` tokens, the context is halved until there is.
    """
    weights = _weights(tensors, dtype, quantized=config.quantization is not None)
    overhead = _OVERHEAD[device.kind]
    per_token = _cache_bytes_per_token(config, kind, dtype)
    length, least = longest, min(longest, _LEAST_CONTEXT)
    while True:
        memory = Memory(weights=weights, kv_cache=_cache(per_token, length, kind, device), overhead=overhead)
        if not device.memory or memory.total <= device.memory:
            return Fit(memory, length)
        if not per_token or length <= least:
            return Fit(memory, length, _too_large(memory, length, device))
        length = max(least, length // 2 // 1024 * 1024)


def _cache(per_token: int, length: int, kind: Kind, device: Device) -> int:
    if not per_token:
        return 0
    # A request takes whole blocks, and vLLM never gives out the first (BlockPool.null_block).
    one_request = per_token * (-(-length // _BLOCK_TOKENS) + 1) * _BLOCK_TOKENS
    return max(_CPU_KV_CACHE, one_request) if device.kind == "cpu" else one_request


def _weights(tensors: Mapping[str, WeightTensor], dtype: str, *, quantized: bool) -> int:
    """Return the bytes of the loaded weights: floats become ``dtype``, unless they are a quantized model's."""
    if quantized:
        return sum(tensor.bytes for tensor in tensors.values())
    size = _DTYPE_BYTES[dtype]
    return sum(
        tensor.size * size if tensor.dtype in ("F64", "F32", "F16", "BF16") else tensor.bytes
        for tensor in tensors.values()
    )


def _cache_bytes_per_token(config: ModelConfig, kind: Kind, dtype: str) -> int:
    """Return what a token of a request occupies: keys and values of each layer, or what attention keeps instead.

    Multi-head latent attention keeps one compressed vector per layer (DeepSeek-V2, section 2.1). A window that slides
    only bounds it further, which is left out: vLLM plans for the longest request, too.
    """
    if kind == "embedding" and _ENCODER.search(config.architecture):
        return 0
    size = _DTYPE_BYTES[dtype]
    rank, rope = config.text.get("kv_lora_rank"), config.text.get("qk_rope_head_dim")
    if isinstance(rank, int) and isinstance(rope, int) and not isinstance(rank, bool) and rank > 0 and rope >= 0:
        return config.layers * (rank + rope) * size
    return 2 * config.layers * config.kv_heads * config.head_dim * size


def _too_large(memory: Memory, length: int, device: Device) -> Fault:
    cache = f" + {_size(memory.kv_cache)} of KV cache for {length} tokens" if memory.kv_cache else ""
    sentence = (
        f"The model needs {_size(memory.weights)} of weights{cache} + {_size(memory.overhead)} for the engine = "
        f"{_size(memory.total)}, but models may take {_size(device.memory)} here: choose a smaller or quantized model, "
        "or a machine with more memory."
    )
    return Fault(code=FaultCode.MEMORY, message=sentence, file=CONFIG)


def _size(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / _MIB:.0f} MiB"
