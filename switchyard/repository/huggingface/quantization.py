"""Which quantized weights the vLLM of this platform runs, and on which device.

Methods, their least compute capability and what they compute in are vLLM's own (``vllm.json``). What it has kernels for
on a CPU is not in its registry, and was tried: ``tests/live/test_quantization.py`` tries it again.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from switchyard.repository.huggingface.documents import FaultError, shown
from switchyard.repository.huggingface.engine import Method, support
from switchyard.repository.huggingface.model_config import CONFIG, ModelConfig
from switchyard.repository.inspection import Device
from switchyard.repository.verdict import Fault, FaultCode

# What checkpoints call a method that vLLM lists under another name (ModelArchConfigConvertorBase and the configs'
# override_quantization_method).
_ALIASES = {"compressed_tensors": "compressed-tensors", "auto-round": "inc", "auto_round": "inc", "intel": "inc"}
# Since 0.28 vLLM has this one in a package of its own, which is installed with vLLM for CUDA (extra ``llm``), and which
# needs CUDA: vllm_bnb_plugin/quantization/config.py of 0.0.3.
_OF_PLUGINS = {"bitsandbytes": Method(70, ("bfloat16", "float16", "float32"))}
# Of those that compute in float32, as models do on a CPU (kustomize/components/cpu), vLLM 0.32 for CPUs has this one.
_ON_CPU = "compressed-tensors"
_PARTS = ("weights", "input_activations")


def quantization_method(config: ModelConfig) -> str:
    """Return the name of the method that the weights are quantized by, empty if they are not.

    Raises:
        FaultError: ``quantization_config`` names none, or one that vLLM does not load (QUANTIZATION).
    """
    if config.quantization is None:
        return ""
    method = config.quantization.get("quant_method")
    if not isinstance(method, str) or not method:
        sentence = f'{CONFIG} has a quantization_config without "quant_method": add it, such as "awq" or "gptq".'
        raise FaultError(FaultCode.QUANTIZATION, sentence, CONFIG)
    method = _ALIASES.get(method.lower(), method.lower())
    methods = _methods()
    if method not in methods:
        known = ", ".join(name for name in ("awq", "compressed-tensors", "fp8", "gptq") if name in methods)
        sentence = (
            f"{CONFIG} says that the weights are quantized by {shown(method)}, which vLLM {support().version} does not "
            f"load: take a checkpoint quantized by another method, such as {known}."
        )
        raise FaultError(FaultCode.QUANTIZATION, sentence, CONFIG)
    return method


def check_quantization(config: ModelConfig, method: str, dtype: str, device: Device) -> Iterator[Fault]:
    """Yield why ``device`` cannot run weights that are quantized by ``method``, computing in ``dtype``."""
    if not method:
        return
    quantized = f"{CONFIG} says that the weights are quantized by {method}"
    if device.kind == "cpu":
        others = "take the model without quantization, one of compressed-tensors in W8A8, or a machine with a GPU."
        if method != _ON_CPU:
            yield _fault(f"{quantized}, which vLLM does not run in {dtype} on a CPU: {others}")
        elif not all(_has_8_bits(group) for group in _groups(config)):
            yield _fault(
                f"{quantized} in another way than 8 bits for weights and activations (W8A8), the only one that vLLM "
                f"runs in {dtype} on a CPU: {others}"
            )
        return
    needs = _methods()[method]
    if device.compute_capability is not None:
        major, minor = device.compute_capability
        if major * 10 + minor < needs.capability:
            least = f"{needs.capability // 10}.{needs.capability % 10}"
            yield _fault(
                f"{quantized}, which needs a GPU of compute capability {least}, and "
                f"{shown(device.name) or 'this one'} has {major}.{minor}: take a checkpoint quantized by another "
                "method, or a newer GPU."
            )
            return
    if dtype not in needs.dtypes:
        yield _fault(
            f"{quantized}, which computes in {' or '.join(needs.dtypes)}, but the model's type here is {dtype}: write "
            f'"dtype": "{needs.dtypes[0]}", or take a checkpoint quantized by another method.'
        )


def _methods() -> Mapping[str, Method]:
    return {**support().quantization, **_OF_PLUGINS}


def _groups(config: ModelConfig) -> Collection[Any]:
    groups = (config.quantization or {}).get("config_groups")
    return groups.values() if isinstance(groups, dict) else ()


def _has_8_bits(group: Any) -> bool:
    """Whether a group of compressed-tensors is W8A8 as vLLM runs it on a CPU: integers, or floats scaled by token."""
    weights, activations = (group.get(part) if isinstance(group, dict) else None for part in _PARTS)
    if not isinstance(weights, dict) or not isinstance(activations, dict):
        return False
    if weights.get("num_bits") != 8 or activations.get("num_bits") != 8:
        return False
    if weights.get("type") == "int":
        return weights.get("strategy") in ("channel", "tensor")
    by_token = activations.get("strategy") == "token" and activations.get("dynamic") is True
    return weights.get("strategy") == "channel" and by_token


def _fault(sentence: str) -> Fault:
    return Fault(code=FaultCode.QUANTIZATION, message=sentence, file=CONFIG)
