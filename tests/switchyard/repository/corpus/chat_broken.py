"""Broken models in Hugging Face's layout: files that do not fit together, are damaged or missing."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Build, Case, no_llm
from tests.switchyard.repository.corpus.chat_good import chat, shards, weights
from tests.switchyard.repository.corpus.graphs import put
from tests.switchyard.repository.huggingface.models import (
    append,
    change_header,
    cut,
    edit,
    overwrite,
    remove,
    rename,
    with_header,
    write,
)

CONFIG, WEIGHTS, TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
TEMPLATE, INDEX = "chat_template.jinja", "model.safetensors.index.json"
_SECOND = "model-00002-of-00002.safetensors"


def _offsets(start: int, end: int) -> Build:
    """Give the last tensor other bytes of the file."""

    def change(header: dict[str, Any]) -> None:
        header["model.norm.weight"]["data_offsets"] = [start, end]

    return change_header(change)


def _with_infinity(arrays: dict[str, Any]) -> dict[str, Any]:
    """In 16 bits, of which one number has run over."""
    made = {name: array.astype(np.float16) for name, array in arrays.items()}
    made["model.norm.weight"][-1] = np.inf
    return made


def _index(change: Any) -> Build:
    def apply(folder: Path) -> None:
        document = json.loads((folder / INDEX).read_text())
        change(document)
        (folder / INDEX).write_text(json.dumps(document))

    return apply


def _to_elsewhere(document: dict[str, Any]) -> None:
    document["weight_map"]["model.norm.weight"] = "../../secret.safetensors"


def _unknown_tensor(document: dict[str, Any]) -> None:
    document["weight_map"]["model.extra.weight"] = _SECOND


def _deeper(folder: Path) -> None:
    chat()(folder)
    (folder / "chat").mkdir()
    for file in [path for path in folder.iterdir() if path.is_file()]:
        file.rename(folder / "chat" / file.name)


CASES: tuple[Case, ...] = (
    no_llm("no-config", chat(remove(CONFIG)), C.INCOMPLETE, CONFIG, "copy all files"),
    no_llm("half-a-config", chat(cut(CONFIG, 100)), C.MODEL_CONFIG, CONFIG, "is not JSON", "correct it there"),
    no_llm("an-empty-config", chat(write(CONFIG, "")), C.INCOMPLETE, CONFIG, "is empty", "copy it"),
    no_llm("a-list-as-config", chat(write(CONFIG, "[]")), C.MODEL_CONFIG, CONFIG, "JSON object"),
    no_llm("no-architecture", chat(edit(CONFIG, architectures=...)), C.MODEL_CONFIG, CONFIG, "save_pretrained"),
    no_llm(
        "an-unknown-architecture",
        chat(edit(CONFIG, architectures=["LamaForCausalLM"])),
        C.ARCHITECTURE,
        CONFIG,
        "did you mean LlamaForCausalLM?",
    ),
    no_llm(
        "an-odd-number-of-heads",
        chat(edit(CONFIG, num_key_value_heads=3)),
        C.MODEL_CONFIG,
        CONFIG,
        "no multiple of num_key_value_heads 3",
        "same number of heads",
    ),
    no_llm(
        "negative-layers",
        chat(edit(CONFIG, num_hidden_layers=-5)),
        C.MODEL_CONFIG,
        CONFIG,
        "num_hidden_layers is -5",
        "write a whole number",
    ),
    no_llm(
        "an-unknown-dtype",
        chat(edit(CONFIG, dtype="float8")),
        C.MODEL_CONFIG,
        CONFIG,
        "dtype is float8",
        "name one of them",
    ),
    no_llm(
        "a-rope-of-words",
        chat(edit(CONFIG, rope_parameters={"rope_type": "linear", "factor": "two"})),
        C.MODEL_CONFIG,
        CONFIG,
        "write a number from 1",
    ),
    no_llm(
        "hot-by-default",
        chat(edit("generation_config.json", temperature="hot")),
        C.MODEL_CONFIG,
        "generation_config.json",
        'temperature is "hot"',
        "write a number",
    ),
    no_llm(
        "an-end-beyond-the-vocabulary",
        chat(edit(CONFIG, eos_token_id=5000)),
        C.MODEL_CONFIG,
        CONFIG,
        "eos_token_id is 5000",
        "take the token's id from tokenizer.json",
    ),
    no_llm(
        "a-larger-vocabulary",
        chat(edit(CONFIG, vocab_size=2048)),
        C.WEIGHTS,
        WEIGHTS,
        "the shape [2048, 128]",
        "has [1024, 128]",
    ),
    no_llm(
        "a-smaller-vocabulary",
        chat(
            edit(CONFIG, vocab_size=512),
            weights(lambda arrays: {name: array[:512] if "embed" in name else array for name, array in arrays.items()}),
        ),
        C.TOKENIZER,
        TOKENIZER,
        "vocab_size 512",
        "copy both of one model",
    ),
    no_llm("a-wider-model", chat(edit(CONFIG, hidden_size=256)), C.WEIGHTS, WEIGHTS, "the shape [1024, 256]"),
    no_llm("a-layer-too-many", chat(edit(CONFIG, num_hidden_layers=6)), C.WEIGHTS, CONFIG, "num_hidden_layers is 6"),
    no_llm(
        "a-tensor-of-another-name",
        chat(
            weights(lambda arrays: {name.replace("model.norm", "model.final"): array for name, array in arrays.items()})
        ),
        C.WEIGHTS,
        WEIGHTS,
        "no tensor model.norm.weight",
    ),
    no_llm(
        "weights-in-whole-numbers",
        chat(weights(lambda arrays: {name: array.astype(np.int32) for name, array in arrays.items()})),
        C.WEIGHTS,
        WEIGHTS,
        "I32",
    ),
    no_llm("no-weights", chat(remove(WEIGHTS)), C.INCOMPLETE, "", "copy model.safetensors"),
    no_llm("half-the-weights", chat(cut(WEIGHTS, 2_000_000)), C.INCOMPLETE, WEIGHTS, "2000000 bytes", "copy it again"),
    no_llm("more-than-the-weights", chat(append(WEIGHTS, b"more")), C.WEIGHTS, WEIGHTS, "export the model again"),
    no_llm("a-header-cut-off", chat(cut(WEIGHTS, 900)), C.INCOMPLETE, WEIGHTS, "its header alone", "copy it again"),
    no_llm(
        "a-header-that-is-no-json",
        chat(write(WEIGHTS, with_header(b"{'a': 1}"))),
        C.WEIGHTS,
        WEIGHTS,
        "no valid safetensors file",
        "copy it again",
    ),
    no_llm("overlapping-tensors", chat(_offsets(0, 512)), C.WEIGHTS, WEIGHTS, "no valid safetensors file"),
    no_llm(
        "a-tensor-beyond-the-end", chat(_offsets(9_000_000, 9_000_512)), C.WEIGHTS, WEIGHTS, "export the model again"
    ),
    no_llm(
        "damaged-weights", chat(overwrite(0xFF)), C.WEIGHTS, WEIGHTS, "has NaN or infinity", "copy the weights again"
    ),
    no_llm(
        "a-number-that-ran-over",
        chat(edit(CONFIG, dtype="float16"), weights(_with_infinity)),
        C.WEIGHTS,
        WEIGHTS,
        "has NaN or infinity in model.norm.weight of",
        "copy the weights again",
    ),
    no_llm(
        "damaged-brain-weights",
        chat(
            edit(CONFIG, dtype="bfloat16"),
            weights(lambda arrays: {name: np.full(array.shape, 0x7F80, np.uint16) for name, array in arrays.items()}),
        ),
        C.WEIGHTS,
        WEIGHTS,
        "has NaN or infinity",
        "copy the weights again",
    ),
    no_llm(
        "a-download-of-zeros",
        chat(overwrite(0)),
        C.WEIGHTS,
        WEIGHTS,
        "nothing but zeros in model.embed_tokens.weight",
        "copy the weights again",
    ),
    no_llm("a-shard-missing", chat(shards(), remove(_SECOND)), C.INCOMPLETE, _SECOND, "is missing", "copy"),
    no_llm(
        "a-numbered-file-missing",
        chat(shards(index=False), remove(_SECOND)),
        C.INCOMPLETE,
        _SECOND,
        "is missing",
        "copy",
    ),
    no_llm("an-index-to-elsewhere", chat(shards(), _index(_to_elsewhere)), C.LINK, INDEX, "correct the index"),
    no_llm(
        "an-index-of-another-model",
        chat(shards(), _index(_unknown_tensor)),
        C.WEIGHTS,
        INDEX,
        "model.extra.weight",
        "of one export",
    ),
    no_llm("no-tokenizer", chat(remove(TOKENIZER)), C.INCOMPLETE, TOKENIZER, "copy it into the folder"),
    no_llm("half-a-tokenizer", chat(cut(TOKENIZER, 4000)), C.TOKENIZER, TOKENIZER, "copy the model's own"),
    no_llm("a-slow-tokenizer", chat(rename(TOKENIZER, "vocab.json")), C.TOKENIZER, TOKENIZER, "save_pretrained"),
    no_llm(
        "an-end-that-is-no-token",
        chat(edit("tokenizer_config.json", eos_token="</s>")),
        C.TOKENIZER,
        "tokenizer_config.json",
        "eos_token is </s>",
        "correct it",
    ),
    no_llm(
        "a-template-with-a-typo",
        chat(write(TEMPLATE, "{% for m in messages %}{{ m.content }}")),
        C.CHAT_TEMPLATE,
        TEMPLATE,
        "Unexpected end of template",
        "correct the template",
    ),
    no_llm(
        "a-template-that-raises",
        chat(write(TEMPLATE, "{{ raise_exception('no') }}")),
        C.CHAT_TEMPLATE,
        TEMPLATE,
        "rejects a user's message",
        "correct the template",
    ),
    no_llm("a-template-without-words", chat(write(TEMPLATE, "hello")), C.CHAT_TEMPLATE, TEMPLATE, "message['content']"),
    no_llm(
        "an-unknown-quantization",
        chat(edit(CONFIG, quantization_config={"quant_method": "magic"})),
        C.QUANTIZATION,
        CONFIG,
        "magic",
        "another method",
    ),
    no_llm(
        "quantized-for-gpus",
        chat(edit(CONFIG, quantization_config={"quant_method": "mxfp4"})),
        C.QUANTIZATION,
        CONFIG,
        "a machine with a GPU",
    ),
    no_llm(
        "too-large-for-the-machine",
        chat(),
        C.MEMORY,
        CONFIG,
        "772 MiB",
        "choose a smaller or quantized model",
        memory=512 << 20,
    ),
    no_llm(
        "gguf",
        chat(remove(CONFIG, WEIGHTS), write("model.gguf", b"GGUF\x03")),
        C.WEIGHTS,
        "model.gguf",
        "take the model's repository with safetensors",
    ),
    no_llm(
        "an-adapter",
        chat(
            remove(CONFIG, WEIGHTS),
            write("adapter_config.json", "{}"),
            write("adapter_model.safetensors", struct.pack("<Q", 2) + b"{}"),
        ),
        C.MODEL_CONFIG,
        "adapter_config.json",
        "merge_and_unload",
    ),
    no_llm("one-folder-too-deep", _deeper, C.MODEL_CONFIG, "chat/config.json", "move its files up"),
    no_llm(
        "a-pointer-of-git-as-weights",
        chat(write(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")),
        C.INCOMPLETE,
        WEIGHTS,
        "git lfs pull",
    ),
    no_llm(
        "only-a-vision-model",
        lambda folder: put(folder, "1/model.onnx", b"\x08"),
        C.MISPLACED,
        "",
        "move it from llm/ to vision/",
    ),
)
