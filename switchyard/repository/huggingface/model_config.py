"""``config.json``: what it says of a model, under the several names that architectures use for it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from switchyard.repository.huggingface.documents import (
    FaultError,
    mapping,
    read_object,
    reject_infinite,
    shown,
    shown_value,
    whole_number,
)
from switchyard.repository.huggingface.references import reject_references
from switchyard.repository.verdict import Fault, FaultCode

CONFIG, GENERATION_CONFIG = "config.json", "generation_config.json"
# Where multimodal models keep their language model's part, as transformers' get_text_config finds it.
_TEXT_PARTS = ("text_config", "llm_config", "language_config", "text_encoder", "decoder")
# As vLLM's ModelArchConfigConvertorBase.derive_max_model_len_and_key: the smallest counts.
_LENGTHS = (
    "max_position_embeddings",
    "n_positions",
    "max_seq_len",
    "seq_length",
    "model_max_length",
    "max_target_positions",
    "max_sequence_length",
    "max_seq_length",
    "seq_len",
)
_VISION_PARTS = ("vision_config", "visual", "vit_config", "vision_tower", "image_token_id", "image_token_index")
_KV_HEADS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num", "num_attention_groups")
# Of these transformers' configurations have scaled the context length already (vLLM, _get_and_verify_max_len).
_SCALED_ROPE = ("su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling", "mrope", "default")
# As vLLM's SamplingParams takes them.
_DEFAULTS = {"temperature": (0.0, 1e6), "top_p": (0.0, 1.0), "top_k": (-1, 1e9), "repetition_penalty": (0.0, 1e6)}
_DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelConfig:
    """A model's dimensions; 0 where ``config.json`` does not say.

    ``text`` is the language model's part of it. ``packed_bits`` is how many bits of an integer are one weight, where
    several are packed into it. ``sees`` says that the model has a part for images.
    """

    architecture: str
    text: Mapping[str, Any] = field(repr=False)
    vocab_size: int
    hidden_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    positions: int
    context_length: int
    dtype: str
    tied: bool
    quantization: Mapping[str, Any] | None
    packed_bits: int
    sees: bool
    special_ids: Mapping[str, tuple[int, ...]]


def read_config(folder: Path) -> ModelConfig:
    """Read ``config.json``.

    Raises:
        FaultError: it cannot be read, names code or another model to load, or a value is not of its type.
    """
    config = read_object(folder, CONFIG, FaultCode.MODEL_CONFIG)
    reject_references(config, CONFIG)
    reject_infinite(config, CONFIG)
    text = next((part for name in _TEXT_PARTS if (part := mapping(config, name, CONFIG))), config)
    heads = _number(text, "num_attention_heads", "n_head", "n_heads", "num_heads")
    hidden = _number(text, "hidden_size", "n_embd", "d_model", "dim")
    return ModelConfig(
        architecture=_architecture(config),
        text=text,
        vocab_size=_number(text, "vocab_size") or _number(config, "vocab_size"),
        hidden_size=hidden,
        layers=_number(text, "num_hidden_layers", "n_layer", "n_layers", "num_layers"),
        heads=heads,
        kv_heads=_number(text, *_KV_HEADS) or heads,
        head_dim=_number(text, "head_dim", "hidden_size_per_head", least=0) or (hidden // heads if heads else 0),
        intermediate_size=_number(text, "intermediate_size", "ffn_hidden_size", "n_inner"),
        positions=_number(text, "max_position_embeddings", "n_positions"),
        context_length=_context_length(text),
        dtype=_dtype(config, text),
        tied=bool(text.get("tie_word_embeddings", config.get("tie_word_embeddings", False))),
        quantization=(quantization := _quantization(config, text)),
        packed_bits=_packed_bits(quantization or {}),
        sees=any(name in config for name in _VISION_PARTS),
        special_ids={name: _ids(config, text, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")},
    )


def check_dimensions(config: ModelConfig) -> Iterator[Fault]:
    """Yield what in ``config.json`` contradicts itself."""
    if config.heads and not config.text.get("head_dim") and config.hidden_size % config.heads:
        yield _fault(
            f"hidden_size {config.hidden_size} is no multiple of num_attention_heads {config.heads}: "
            "correct one of them, or give head_dim."
        )
    if config.heads and config.heads % config.kv_heads:
        yield _fault(
            f"num_attention_heads {config.heads} is no multiple of num_key_value_heads {config.kv_heads}: "
            "every key-value head serves the same number of heads."
        )
    for name, ids in config.special_ids.items():
        if config.vocab_size and any(number >= config.vocab_size for number in ids):
            yield _fault(
                f"{name} is {max(ids)}, but vocab_size {config.vocab_size} ends at {config.vocab_size - 1}: "
                "take the token's id from tokenizer.json."
            )


def check_generation(folder: Path) -> Iterator[Fault]:
    """Yield what vLLM cannot take as the defaults of requests, which ``generation_config.json`` holds.

    Raises:
        FaultError: the file cannot be read.
    """
    if not (folder / GENERATION_CONFIG).exists():
        return
    values = read_object(folder, GENERATION_CONFIG, FaultCode.MODEL_CONFIG)
    reject_infinite(values, GENERATION_CONFIG)
    for name, (least, most) in _DEFAULTS.items():
        value = values.get(name)
        if value is None or (isinstance(value, int | float) and least <= value <= most):
            continue
        sentence = (
            f"{GENERATION_CONFIG} says that {name} is {shown_value(value)}: write a number from {least:g} to {most:g}."
        )
        yield Fault(code=FaultCode.MODEL_CONFIG, message=sentence, file=GENERATION_CONFIG)


def _fault(sentence: str) -> Fault:
    return Fault(code=FaultCode.MODEL_CONFIG, message=f"{CONFIG} says that {sentence}", file=CONFIG)


def _number(values: dict[str, Any], *names: str, least: int = 1) -> int:
    return whole_number(values, names, CONFIG, least=least) or 0


def _architecture(config: Mapping[str, Any]) -> str:
    names = config.get("architectures")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        sentence = (
            f'{CONFIG} has to name the class of the model, such as "architectures": ["LlamaForCausalLM"], but has '
            f"{shown_value(names)}: add it, as transformers' save_pretrained does."
        )
        raise FaultError(FaultCode.MODEL_CONFIG, sentence, CONFIG)
    return str(names[0])


def _context_length(text: dict[str, Any]) -> int:
    lengths = [length for name in _LENGTHS if (length := whole_number(text, (name,), CONFIG))]
    return int(min(lengths) * _rope_factor(text)) if lengths else 0


def _rope_factor(text: dict[str, Any]) -> float:
    rope = mapping(text, "rope_parameters", CONFIG) or mapping(text, "rope_scaling", CONFIG) or {}
    # Models with local and global layers have one object for each of them.
    for part in (rope, *(value for value in rope.values() if isinstance(value, dict))):
        factor = part.get("factor")
        if factor is None:
            continue
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not 1 <= factor <= 1024:
            sentence = f"the factor of its rope scaling is {shown_value(factor)}: write a number from 1 to 1024."
            raise FaultError(FaultCode.MODEL_CONFIG, f"{CONFIG} says that {sentence}", CONFIG)
        if (
            part.get("rope_type", part.get("type", "default")) not in _SCALED_ROPE
            and text.get("model_type") != "gemma3"
        ):
            return float(factor)
    return 1.0


def _dtype(config: Mapping[str, Any], text: Mapping[str, Any]) -> str:
    value = next((part[name] for part in (config, text) for name in ("dtype", "torch_dtype") if part.get(name)), "")
    name = value.removeprefix("torch.") if isinstance(value, str) else shown_value(value)
    if name and name not in _DTYPES:
        sentence = (
            f"{CONFIG} says that dtype is {shown(name)}: vLLM computes in {', '.join(_DTYPES)}; name one of them."
        )
        raise FaultError(FaultCode.MODEL_CONFIG, sentence, CONFIG)
    return name


def _quantization(config: dict[str, Any], text: dict[str, Any]) -> Mapping[str, Any] | None:
    found = (
        mapping(part, name, CONFIG) for part in (config, text) for name in ("quantization_config", "compression_config")
    )
    return next((value for value in found if value), None)


def _packed_bits(quantization: Mapping[str, Any]) -> int:
    """Return the bits of a weight by AWQ's and GPTQ's ``bits``, or by the first group of compressed-tensors."""
    groups = quantization.get("config_groups")
    first = next(iter(groups.values()), None) if isinstance(groups, dict) else None
    weights = first.get("weights") if isinstance(first, dict) else None
    bits = (weights if isinstance(weights, dict) else {}).get("num_bits", quantization.get("bits"))
    return bits if isinstance(bits, int) and 1 <= bits <= 32 else 0


def _ids(config: Mapping[str, Any], text: Mapping[str, Any], name: str) -> tuple[int, ...]:
    value = config.get(name, text.get(name))
    ids = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in ids):
        sentence = f"{CONFIG} says that {name} is {shown_value(value)}: write the token's id, or a list of ids."
        raise FaultError(FaultCode.MODEL_CONFIG, sentence, CONFIG)
    return tuple(number for number in ids if number >= 0)  # -1 stands for none in old configurations
