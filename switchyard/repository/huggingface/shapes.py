"""The shapes that ``config.json`` implies for the tensors of common architectures, against those in the files."""

import re
from collections.abc import Iterator, Mapping

from switchyard.repository.huggingface.documents import listed, shown
from switchyard.repository.huggingface.model_config import CONFIG, ModelConfig
from switchyard.repository.huggingface.tensors import WeightTensor
from switchyard.repository.verdict import Fault, FaultCode

Tensors = Mapping[str, WeightTensor]
Shape = tuple[int, ...]

_DECODERS = re.compile(r"(Llama|Mistral|Qwen2|Qwen3)(ForCausalLM|Model|ForSequenceClassification)")
_ENCODERS = re.compile(r"(Bert|Roberta|XLMRoberta)(Model|ForMaskedLM|ForSequenceClassification|ForTokenClassification)")
_LAYER = re.compile(r"(?:^|\.)(?:layers|layer|h|blocks)\.(\d{1,6})\.")
# The names under which architectures keep the table with a row for each token.
EMBEDDING = re.compile(r"(?:.*\.)?(?:embed_tokens|wte|word_embeddings|tok_embeddings|embed_in)\.weight")
_MOST_LAYERS = 10_000  # the deepest models of today have some 130; config.json may say anything
_MOST = 3  # of one export's faults the others say nothing new


def check_shapes(config: ModelConfig, tensors: Tensors, *, generates: bool) -> Iterator[Fault]:
    """Yield where weights and ``config.json`` contradict each other; ``generates`` asks for what gives tokens."""
    found = _check(config, tensors, generates)
    yield from (fault for _, fault in zip(range(_MOST), found, strict=False))


def _check(config: ModelConfig, tensors: Tensors, generates: bool) -> Iterator[Fault]:
    if _DECODERS.fullmatch(config.architecture):
        prefix = "model." if any(name.startswith("model.") for name in tensors) else ""
        expected = _decoder(config, prefix, generates)
    elif _ENCODERS.fullmatch(config.architecture):
        prefix = next((name.split(".")[0] + "." for name in tensors if ".embeddings.word_embeddings" in name), "")
        expected = _encoder(config, prefix)
    else:
        yield from _check_embedding(config, tensors)
        yield from _check_layers(config, tensors, exactly=False)
        return
    yield from _check_layers(config, tensors, exactly=True)
    quantized = config.quantization is not None  # then matrices have other names and shapes, vectors have theirs
    for name, (shape, meaning) in expected:
        if name in tensors:
            if tensors[name].shape != shape and not (quantized and len(shape) > 1):
                yield _contradiction(name, tensors[name], shape, meaning)
            elif not quantized and not tensors[name].dtype.startswith(("F", "BF")):
                yield _whole_numbers(name, tensors[name])
        elif not quantized:
            yield _missing(name, meaning, tensors)


def _decoder(config: ModelConfig, prefix: str, generates: bool) -> Iterator[tuple[str, tuple[Shape, str]]]:
    """Yield the tensors of the models that are built as Llama is, with what their shapes come from."""
    hidden, inner = config.hidden_size, config.intermediate_size
    queries, keys = config.heads * config.head_dim, config.kv_heads * config.head_dim
    yield f"{prefix}embed_tokens.weight", ((config.vocab_size, hidden), "vocab_size × hidden_size")
    yield f"{prefix}norm.weight", ((hidden,), "hidden_size")
    if generates and not config.tied:
        yield "lm_head.weight", ((config.vocab_size, hidden), "vocab_size × hidden_size")
    for index in range(min(config.layers, _MOST_LAYERS)):
        layer = f"{prefix}layers.{index}"
        attention = f"{layer}.self_attn"
        yield f"{attention}.q_proj.weight", ((queries, hidden), "num_attention_heads · head_dim × hidden_size")
        for name in ("k_proj", "v_proj"):
            yield f"{attention}.{name}.weight", ((keys, hidden), "num_key_value_heads · head_dim × hidden_size")
        yield f"{attention}.o_proj.weight", ((hidden, queries), "hidden_size × num_attention_heads · head_dim")
        if config.architecture.startswith("Qwen2"):
            yield f"{attention}.q_proj.bias", ((queries,), "num_attention_heads · head_dim")
            yield f"{attention}.k_proj.bias", ((keys,), "num_key_value_heads · head_dim")
            yield f"{attention}.v_proj.bias", ((keys,), "num_key_value_heads · head_dim")
        if config.architecture.startswith("Qwen3"):
            yield f"{attention}.q_norm.weight", ((config.head_dim,), "head_dim")
            yield f"{attention}.k_norm.weight", ((config.head_dim,), "head_dim")
        for name in ("gate_proj", "up_proj"):
            yield f"{layer}.mlp.{name}.weight", ((inner, hidden), "intermediate_size × hidden_size")
        yield f"{layer}.mlp.down_proj.weight", ((hidden, inner), "hidden_size × intermediate_size")
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{layer}.{name}.weight", ((hidden,), "hidden_size")


def _encoder(config: ModelConfig, prefix: str) -> Iterator[tuple[str, tuple[Shape, str]]]:
    hidden, inner = config.hidden_size, config.intermediate_size
    embeddings = f"{prefix}embeddings"
    yield f"{embeddings}.word_embeddings.weight", ((config.vocab_size, hidden), "vocab_size × hidden_size")
    positions = (config.positions, hidden)
    yield f"{embeddings}.position_embeddings.weight", (positions, "max_position_embeddings × hidden_size")
    for index in range(min(config.layers, _MOST_LAYERS)):
        layer = f"{prefix}encoder.layer.{index}"
        for name in ("query", "key", "value"):
            yield f"{layer}.attention.self.{name}.weight", ((hidden, hidden), "hidden_size × hidden_size")
        yield f"{layer}.attention.output.dense.weight", ((hidden, hidden), "hidden_size × hidden_size")
        yield f"{layer}.intermediate.dense.weight", ((inner, hidden), "intermediate_size × hidden_size")
        yield f"{layer}.output.dense.weight", ((hidden, inner), "hidden_size × intermediate_size")


def _check_embedding(config: ModelConfig, tensors: Tensors) -> Iterator[Fault]:
    rows = {name: tensor for name, tensor in tensors.items() if EMBEDDING.fullmatch(name) and len(tensor.shape) == 2}
    if not rows or not config.vocab_size or config.quantization is not None:
        return
    # Parts of multimodal models have tables of their own: one has to fit.
    if all(tensor.shape[0] < config.vocab_size for tensor in rows.values()):
        name, tensor = next(iter(rows.items()))
        yield Fault(
            code=FaultCode.WEIGHTS,
            message=(
                f"{CONFIG} says that vocab_size is {config.vocab_size}, but {shown(name)} in {tensor.file} has only "
                f"{tensor.shape[0]} rows: correct {CONFIG}, or copy weights and configuration of one export."
            ),
            file=tensor.file,
        )


def _check_layers(config: ModelConfig, tensors: Tensors, *, exactly: bool) -> Iterator[Fault]:
    numbers = {int(match[1]) for name in tensors if (match := _LAYER.search(name))}
    if not numbers or not config.layers:
        return
    there = max(numbers) + 1
    # Others keep layers for guessing ahead (multi-token prediction) after those that config.json counts.
    if there < config.layers or (exactly and there > config.layers):
        yield Fault(
            code=FaultCode.WEIGHTS,
            message=(
                f"{CONFIG} says that num_hidden_layers is {config.layers}, but the weights have {there} layers: "
                f"correct {CONFIG}, or copy all files of the export."
            ),
            file=CONFIG,
        )


def _contradiction(name: str, tensor: WeightTensor, shape: Shape, meaning: str) -> Fault:
    sentence = (
        f"{CONFIG} gives {shown(name)} the shape {list(shape)} ({meaning}), but {tensor.file} has "
        f"{list(tensor.shape)}: correct {CONFIG}, or copy weights and configuration of one export."
    )
    return Fault(code=FaultCode.WEIGHTS, message=sentence, file=tensor.file)


def _whole_numbers(name: str, tensor: WeightTensor) -> Fault:
    sentence = (
        f"{tensor.file} has {shown(name)} in {tensor.dtype}, whole numbers, and {CONFIG} says nothing of a "
        "quantization: export the weights in floating point, or with their quantization_config."
    )
    return Fault(code=FaultCode.WEIGHTS, message=sentence, file=tensor.file)


def _missing(name: str, meaning: str, tensors: Tensors) -> Fault:
    files = sorted({tensor.file for tensor in tensors.values()})
    hint = "export the model again"
    if name == "lm_head.weight":
        hint = f'write "tie_word_embeddings": true in {CONFIG} if the embedding takes its place, or {hint}'
    sentence = f"{listed(files)} {'have' if len(files) > 1 else 'has'} no tensor {shown(name)} ({meaning}): {hint}."
    return Fault(code=FaultCode.WEIGHTS, message=sentence, file=files[0])
