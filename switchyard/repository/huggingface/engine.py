"""What the vLLM of this platform serves: ``vllm.json``, which ``python -m tools.vllm_support`` writes."""

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from switchyard.repository.huggingface.documents import FaultError, shown
from switchyard.repository.huggingface.model_config import CONFIG
from switchyard.repository.verdict import FaultCode, Kind


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
