"""Configurations of quantized checkpoints, and which of them vLLM 0.32 runs in float32 on a CPU."""

from typing import Any


def compressed(kind: str, weights: dict[str, Any], activations: dict[str, Any] | None = None) -> dict[str, Any]:
    """A ``quantization_config`` of compressed-tensors with one group."""
    common = {"symmetric": True, "dynamic": False}
    group = {
        "targets": ["Linear"],
        "weights": {**common, **weights},
        "input_activations": activations and {**common, **activations},
    }
    return {
        "quant_method": "compressed-tensors",
        "format": kind,
        "config_groups": {"group_0": group},
        "ignore": ["lm_head"],
    }


def _by_token(kind: str, bits: int = 8) -> dict[str, Any]:
    return {"num_bits": bits, "type": kind, "strategy": "token", "dynamic": True}


def _weights(kind: str, bits: int, strategy: str, **more: int) -> dict[str, Any]:
    return {"num_bits": bits, "type": kind, "strategy": strategy, **more}


CASES = {
    "W8A8, integers": compressed("int-quantized", _weights("int", 8, "channel"), _by_token("int")),
    "W8A8, floats": compressed("float-quantized", _weights("float", 8, "channel"), _by_token("float")),
    "W8A8, floats scaled by tensor": compressed("float-quantized", _weights("float", 8, "tensor"), _by_token("float")),
    "W8A8, static floats": compressed(
        "float-quantized",
        _weights("float", 8, "tensor"),
        {"num_bits": 8, "type": "float", "strategy": "tensor"},
    ),
    "W8A8, groups of integers": compressed(
        "int-quantized", _weights("int", 8, "group", group_size=32), _by_token("int")
    ),
    "W4A16": compressed("pack-quantized", _weights("int", 4, "group", group_size=32)),
    "W4A8": compressed("pack-quantized", _weights("int", 4, "group", group_size=32), _by_token("int")),
    "W8A16": compressed("pack-quantized", _weights("int", 8, "group", group_size=32)),
    "AWQ": {"quant_method": "awq", "bits": 4, "group_size": 32, "zero_point": True, "version": "gemm"},
    "GPTQ": {"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": False, "sym": True},
    "FP8": {"quant_method": "fp8", "activation_scheme": "dynamic"},
}
RUNS_ON_A_CPU = {"W8A8, integers", "W8A8, floats"}
