"""What the vLLM of this platform serves: ``vllm.json``, which ``python -m tools.vllm_support`` writes."""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from switchyard.repository.huggingface.documents import FaultError, shown
from switchyard.repository.huggingface.model_config import CONFIG, ModelConfig
from switchyard.repository.inspection import Device
from switchyard.repository.verdict import Fault, FaultCode, Kind

# What checkpoints call a method that vLLM lists under another name (ModelArchConfigConvertorBase and the configs'
# override_quantization_method).
_ALIASES = {"compressed_tensors": "compressed-tensors", "auto-round": "inc", "auto_round": "inc", "intel": "inc"}
# vLLM has kernels of these for CPUs (_POSSIBLE_KERNELS and others in model_executor/kernels/linear).
_ON_CPU = ("compressed-tensors", "awq", "auto_awq", "gptq", "auto_gptq", "inc", "fp8")
_CPU_DTYPE = "float32"  # kustomize/components/cpu


@dataclass(frozen=True, slots=True)
class Method:
    """A method of quantization: the least compute capability of a GPU times ten, and what it computes in."""

    capability: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineSupport:
    version: str
    generation: frozenset[str]
    multimodal: frozenset[str]
    pooling: frozenset[str]
    removed: Mapping[str, str]
    quantization: Mapping[str, Method]

    @property
    def architectures(self) -> frozenset[str]:
        return self.generation | self.multimodal | self.pooling


@cache
def support() -> EngineSupport:
    """Read the package's ``vllm.json``."""
    table: dict[str, Any] = json.loads(resources.files(__package__).joinpath("vllm.json").read_text())
    methods = {
        name: Method(method["capability"], tuple(method["dtypes"])) for name, method in table["quantization"].items()
    }
    names = {kind: frozenset(table[kind]) for kind in ("generation", "multimodal", "pooling")}
    return EngineSupport(version=table["version"], removed=table["removed"], quantization=methods, **names)


def kind_of(architecture: str, *, embeds: bool) -> Kind:
    """Return how vLLM serves ``architecture``; ``embeds`` says that the folder's files ask for embeddings.

    Raises:
        FaultError: vLLM does not serve it (ARCHITECTURE).
    """
    engine = support()
    if architecture in engine.pooling:
        return "embedding"
    if architecture in engine.generation or architecture in engine.multimodal:
        return "embedding" if embeds else "llm"
    # vLLM runs a class that it does not list by the language model of that name (_normalize_arch).
    base = _language_model(architecture)
    if base in engine.generation:
        return "embedding"
    raise FaultError(FaultCode.ARCHITECTURE, _unknown(architecture, engine), CONFIG)


def _language_model(architecture: str) -> str:
    for suffix in ("ForTextEncoding", "EmbeddingModel", "ForSequenceClassification", "ForRewardModeling", "Model"):
        if architecture.endswith(suffix):
            return architecture.removesuffix(suffix) + "ForCausalLM"
    return architecture


def _unknown(architecture: str, engine: EngineSupport) -> str:
    name = shown(architecture)
    if last := engine.removed.get(architecture):
        return (
            f"{CONFIG} names the architecture {name}, which vLLM served up to {last} and {engine.version}, which is "
            "installed here, does not: choose a model of another architecture."
        )
    near = difflib.get_close_matches(architecture[:200], engine.architectures, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]}?" if near else "choose a model of an architecture from vLLM's list."
    return f"{CONFIG} names the architecture {name}, which vLLM {engine.version} does not know: {hint}"


def quantization_method(config: ModelConfig) -> str:
    """Return the name of the method that the weights are quantized by, empty if they are not.

    Raises:
        FaultError: ``quantization_config`` names none, or one that vLLM does not know (QUANTIZATION).
    """
    if config.quantization is None:
        return ""
    method = config.quantization.get("quant_method")
    if not isinstance(method, str) or not method:
        sentence = f'{CONFIG} has a quantization_config without "quant_method": add it, such as "awq" or "gptq".'
        raise FaultError(FaultCode.QUANTIZATION, sentence, CONFIG)
    method = _ALIASES.get(method.lower(), method.lower())
    if method not in support().quantization:
        known = ", ".join(
            name for name in ("awq", "compressed-tensors", "fp8", "gptq") if name in support().quantization
        )
        sentence = (
            f"{CONFIG} says that the weights are quantized by {shown(method)}, which vLLM {support().version} does not "
            f"know: take a checkpoint quantized by another method, such as {known}."
        )
        raise FaultError(FaultCode.QUANTIZATION, sentence, CONFIG)
    return method


def check_quantization(method: str, device: Device) -> Iterator[Fault]:
    """Yield why ``device`` cannot run weights that are quantized by ``method``."""
    if not method:
        return
    needs = support().quantization[method]
    if device.kind == "cpu":
        if method not in _ON_CPU or _CPU_DTYPE not in needs.dtypes:
            yield _not_here(
                f"{CONFIG} says that the weights are quantized by {method}, which vLLM does not run in {_CPU_DTYPE} on "
                "a CPU: take the model without quantization, one of compressed-tensors, or a machine with a GPU."
            )
    elif device.compute_capability is not None:
        major, minor = device.compute_capability
        if major * 10 + minor < needs.capability:
            least = f"{needs.capability // 10}.{needs.capability % 10}"
            yield _not_here(
                f"{CONFIG} says that the weights are quantized by {method}, which needs a GPU of compute capability "
                f"{least}, and {shown(device.name) or 'this one'} has {major}.{minor}: take a checkpoint quantized by "
                "another method, or a newer GPU."
            )


def _not_here(sentence: str) -> Fault:
    return Fault(code=FaultCode.QUANTIZATION, message=sentence, file=CONFIG)
