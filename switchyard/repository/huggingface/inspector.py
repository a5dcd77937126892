"""Judges a folder in Hugging Face's layout, without running the model."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from switchyard.repository.card import read_card
from switchyard.repository.folder import list_files
from switchyard.repository.huggingface import embedding, engine, memory, quantization
from switchyard.repository.huggingface.chat.chat_template import check_template, read_template
from switchyard.repository.huggingface.chat.tool_calls import missing_parser, tool_parser
from switchyard.repository.huggingface.documents import FaultError, listed
from switchyard.repository.huggingface.model_config import (
    CONFIG,
    ModelConfig,
    check_dimensions,
    check_generation,
    read_config,
)
from switchyard.repository.huggingface.references import check_files
from switchyard.repository.huggingface.shapes import check_shapes
from switchyard.repository.huggingface.tensors import WeightTensor, count_parameters, read_weights
from switchyard.repository.huggingface.tokenizer import TokenizerFacts, check_tokenizer, read_tokenizer_config
from switchyard.repository.huggingface.values import check_values
from switchyard.repository.inspection import Device, Inspection, Surroundings
from switchyard.repository.placement.layout import group_of, part_of
from switchyard.repository.verdict import Facts, Fault, FaultCode, Kind

_UNKNOWN_LENGTH = 2048  # what vLLM assumes of a model that names none
_ADAPTER = "adapter_config.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Model:
    """What the small files say."""

    config: ModelConfig
    kind: Kind
    method: str  # of quantization
    tokenizer: TokenizerFacts
    longest: int
    template: str
    template_file: str


@dataclass(frozen=True, slots=True)
class _Learned:
    """What checks find out beside faults."""

    tensors: dict[str, WeightTensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def inspect(folder: Path, surroundings: Surroundings) -> Inspection:
    """Judge ``folder``; this is the ``Inspector`` of Hugging Face's layout."""
    listing = list_files(folder, "llm")
    if listing.faults:
        return Inspection(faults=listing.faults)
    try:
        _check_layout(listing.paths)
        model = _read(folder)
    except FaultError as err:
        return Inspection(faults=(err.fault,))
    learned = _Learned()
    checks = (check_files(folder, listing.paths), *_checks(folder, model, learned, surroundings.device))
    faults = [fault for check in checks for fault in _found(check)]
    if faults:
        return Inspection(faults=tuple(dict.fromkeys(faults)))  # two checks may read one file
    dtype = memory.served_dtype(model.config, model.kind, surroundings.device)
    fit = memory.fit(model.config, learned.tensors, model.kind, dtype, model.longest, surroundings.device)
    if fit.fault:
        return Inspection(faults=(fit.fault,))
    return Inspection(facts=_facts(folder, model, learned, fit, dtype, listing.bytes))


def _read(folder: Path) -> _Model:
    config = read_config(folder)
    kind = engine.kind_of(config.architecture, embeds=embedding.is_embedding(folder))
    tokenizer = read_tokenizer_config(folder)
    template, template_file = read_template(folder, tokenizer)
    return _Model(
        config=config,
        kind=kind,
        method=quantization.quantization_method(config),
        tokenizer=tokenizer,
        longest=_context_length(config, kind, tokenizer, embedding.longest_text(folder)),
        template=template,
        template_file=template_file,
    )


def _context_length(config: ModelConfig, kind: Kind, tokenizer: TokenizerFacts, longest: int | None) -> int:
    """Return the longest context, as vLLM's ``_get_and_verify_max_len`` derives it."""
    length = config.context_length or _UNKNOWN_LENGTH
    if "Roberta" in config.architecture:  # positions begin behind the padding's; vLLM leaves that to its users
        length = max(1, length - 1 - max(config.special_ids["pad_token_id"], default=1))
    if kind == "embedding":
        length = min(length, tokenizer.longest or length)
    return min(length, longest or length)


def _checks(folder: Path, model: _Model, learned: _Learned, device: Device) -> Iterator[Iterable[Fault]]:
    """Yield the checks, none of which depends on another."""
    config, generates = model.config, model.kind == "llm"
    yield check_dimensions(config)
    yield check_generation(folder)
    yield quantization.check_quantization(config, model.method, memory.served_dtype(config, model.kind, device), device)
    yield _check_weights(folder, config, learned.tensors, generates=generates)
    yield check_tokenizer(folder, config, model.tokenizer, learned.notes, generates=generates)
    yield embedding.check_modules(folder, config)
    if generates and model.template:
        yield check_template(model.template, model.template_file, model.tokenizer, learned.notes)


def _found(check: Iterable[Fault]) -> Iterator[Fault]:
    """Yield the faults; a file of which nothing can be said ends its own check alone."""
    try:
        yield from check
    except FaultError as err:
        yield err.fault


def _check_weights(
    folder: Path, config: ModelConfig, tensors: dict[str, WeightTensor], *, generates: bool
) -> Iterator[Fault]:
    tensors |= read_weights(folder)
    contradictions = list(check_shapes(config, tensors, generates=generates))
    yield from contradictions
    if not contradictions:
        yield from check_values(folder, tensors)


def _facts(folder: Path, model: _Model, learned: _Learned, fit: memory.Fit, dtype: str, size: int) -> Facts:
    card = read_card(folder)
    notes = [*learned.notes, *([card.note] if card.note else [])]
    if model.kind == "llm" and not model.template:
        notes.append(
            "The model has no chat template, so that it completes texts (/v1/completions) and takes no chats: add "
            "chat_template.jinja if it is meant for them."
        )
    if fit.context_length < model.longest:
        notes.append(
            f"The context is {fit.context_length} tokens of the model's {model.longest}, for whose KV cache there is "
            "not enough memory here."
        )
    parser = tool_parser(model.template, model.config.architecture) if model.kind == "llm" else ""
    if model.kind == "llm" and model.template and not parser:
        notes.append(missing_parser(model.template, model.template_file))
    return Facts(
        format="huggingface",
        kind=model.kind,
        bytes=size,
        memory=fit.memory,
        architecture=model.config.architecture,
        parameters=count_parameters(learned.tensors, model.config.packed_bits),
        dtype=dtype,
        quantization=model.method,
        context_length=fit.context_length,
        accepts_images=model.config.sees and model.config.architecture in engine.support().multimodal,
        tool_parser=parser,
        license=card.license,
        description=card.description,
        notes=tuple(notes),
    )


def _check_layout(files: Iterable[str]) -> None:
    """Raise a FaultError for folders of other kinds that people take for a model of this layout."""
    names = sorted(files)
    if CONFIG in names:
        return
    if gguf := [name for name in names if name.endswith(".gguf")]:
        sentence = (
            f"{listed(gguf)} is GGUF, which this vLLM does not load: take the model's repository with safetensors."
        )
        raise FaultError(FaultCode.WEIGHTS, sentence, gguf[0])
    if _ADAPTER in names:
        sentence = (
            f"{_ADAPTER} says that this is an adapter (LoRA), and {CONFIG} of a model is missing: merge it into its "
            "base model by merge_and_unload of peft, and save that."
        )
        raise FaultError(FaultCode.MODEL_CONFIG, sentence, _ADAPTER)
    inner = sorted({os.path.dirname(name) for name in names if os.path.basename(name) == CONFIG and "/" in name})
    if inner and len(inner) == 1 and all(name.startswith(inner[0] + "/") for name in names):
        sentence = f"The model lies in {listed(inner)}, one folder too deep: move its files up."
        raise FaultError(FaultCode.MODEL_CONFIG, sentence, f"{inner[0]}/{CONFIG}")
    if archive := next((name for name in names if part_of(name) == "archive"), ""):
        sentence = f"{listed([archive])} is an archive, which is not unpacked here: unpack it into the model's folder."
        raise FaultError(FaultCode.MISPLACED, sentence, archive)
    if group_of([name for name in names if not name.startswith("onnx/")]) == "vision":  # where hubs put another copy
        sentence = "The folder has the files of a vision model, such as 1/model.onnx: move it from llm/ to vision/."
        raise FaultError(FaultCode.MISPLACED, sentence)
    sentence = f"{CONFIG} is missing: copy all files of the model into its folder."
    raise FaultError(FaultCode.INCOMPLETE, sentence, CONFIG)
