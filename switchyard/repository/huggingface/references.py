"""What in a folder leads vLLM or transformers to another model, file or code than those that are judged."""

import os
from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from switchyard.repository.huggingface.documents import FaultError, listed, read_object, shown
from switchyard.repository.verdict import Fault, FaultCode

_CONFIG, _QUANTIZATION, _TOKENS = "config.json", "hf_quant_config.json", "special_tokens_map.json"
# Keys of config.json, at any depth: vLLM's maybe_override_with_speculators serves the verifier in place of the folder,
# transformers' get_config_dict reads one of the files, and vLLM's Ultravox loads the models.
_MODELS = ("speculators_config", "speculators_model_type", "name_or_path")
_MODEL_SUFFIX = "_model_id"
_CONFIG_FILES = "configuration_files"
# Keys of tokenizer_config.json, of which transformers' tokenizers read files in place of tokenizer.json or beside it.
_TOKENIZER_FILES = ("fast_tokenizer_files", "vocab_file", "merges_file", "spm_file", "gguf_file", "init_inputs")
# What methods of quantization say of their origin (GPTQ's model_name_or_path), which vLLM does not read.
_NOT_FOLLOWED = ("quantization_config", "compression_config")
# By these vLLM knows Mistral's format, in which it would read all of the model; the weights at any depth.
_MISTRAL_WEIGHTS = "consolidated*.safetensors"
_MISTRAL = ("params.json", "tekken.json", "tokenizer.model.v*", "consolidated.safetensors.index.json")
_TEMPLATES = "additional_chat_templates/"
_JOINT_HEAD = "joint_head_config.json"


def reject_references(config: Mapping[str, Any], file: str) -> None:
    """Raise a FaultError if ``config.json`` names Python code (PICKLE), or another model or file (MODEL_CONFIG)."""
    waiting: list[object] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        reject_code(value, file)
        for key, part in value.items():
            if not part:
                continue
            if key in _MODELS or (key.endswith(_MODEL_SUFFIX) and isinstance(part, str)):
                sentence = (
                    f"{file} names another model to load ({shown(key)}), and only this folder's files are judged and "
                    "served: remove the key, or choose a model that is complete without the other."
                )
                raise FaultError(FaultCode.MODEL_CONFIG, sentence, file)
            if key == _CONFIG_FILES:
                raise FaultError(FaultCode.MODEL_CONFIG, _other_file(file, key), file)
            if key not in _NOT_FOLLOWED:
                waiting.append(part)


def reject_tokenizer_references(config: Mapping[str, Any], file: str) -> None:
    """Raise a FaultError if ``tokenizer_config.json`` names Python code (PICKLE) or files (TOKENIZER)."""
    reject_code(config, file)
    for key in _TOKENIZER_FILES:
        if config.get(key):
            raise FaultError(FaultCode.TOKENIZER, _other_file(file, key), file)


def reject_code(config: Mapping[str, Any], file: str) -> None:
    """Raise a FaultError if ``config`` names Python code to be loaded with the model."""
    if config.get("auto_map"):
        sentence = (
            f'{file} names code of its own to load ("auto_map"), and no code of a model is run here: remove "auto_map" '
            "if vLLM knows the architecture itself, or choose a model without trust_remote_code."
        )
        raise FaultError(FaultCode.PICKLE, sentence, file)


def check_files(folder: Path, paths: Collection[str]) -> Iterator[Fault]:
    """Yield the files of ``folder`` that vLLM or transformers would read in place of those that are judged.

    Raises:
        FaultError: one of them cannot be read.
    """
    weights = {path for path in paths if fnmatch(os.path.basename(path), _MISTRAL_WEIGHTS)}
    if mistral := sorted(weights | {path for path in paths for name in _MISTRAL if fnmatch(path, name)}):
        yield _fault(
            mistral[0],
            f"{listed(mistral)}: files of Mistral's own format, which vLLM would read in place of {_CONFIG}, "
            "tokenizer.json and the other *.safetensors: remove them, and keep the model in Hugging Face's format.",
        )
    if templates := sorted(path for path in paths if path.startswith(_TEMPLATES)):
        yield _fault(
            templates[0],
            f"{listed(templates)}: chat templates that would be used in place of the one that is judged: remove them; "
            "what they are for belongs into chat_template.jinja.",
        )
    if _JOINT_HEAD in paths:
        yield _fault(_JOINT_HEAD, f"{_JOINT_HEAD} makes vLLM load another architecture than {_CONFIG} says: remove it.")
    if _QUANTIZATION in paths and not read_object(folder, _CONFIG, FaultCode.MODEL_CONFIG).get("quantization_config"):
        yield _fault(
            _QUANTIZATION,
            f"{_QUANTIZATION} says how the weights are quantized, and {_CONFIG} does not: copy what it says into "
            f'"quantization_config" of {_CONFIG}, or remove it if they are not.',
        )
    if _TOKENS in paths:
        yield from _check_tokens(read_object(folder, _TOKENS, FaultCode.TOKENIZER))


def _check_tokens(tokens: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield keys that name no tokens: transformers takes any setting of the tokenizer from there, last of all."""
    if others := [key for key in tokens if not key.endswith(("_token", "_tokens"))]:
        sentence = f"{_TOKENS} has {listed(others)}, and names of tokens alone belong there: remove the rest."
        yield Fault(code=FaultCode.TOKENIZER, message=sentence, file=_TOKENS)


def _other_file(file: str, key: str) -> str:
    return f"{file} names other files to read ({key}), which are not judged: remove the key."


def _fault(file: str, sentence: str) -> Fault:
    return Fault(code=FaultCode.MODEL_CONFIG, message=sentence, file=file)
