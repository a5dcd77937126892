"""Good models in Hugging Face's layout: what the project ships, and variants of its chat model."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.switchyard.repository.corpus.case import Build, Case, llm
from tests.switchyard.repository.corpus.graphs import put
from tests.switchyard.repository.huggingface.models import REPOSITORY, edit, remove, rename, with_header, write

Arrays = Mapping[str, "np.ndarray[Any, Any]"]
_NAMES = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int32": "I32", "int64": "I64"}


def shipped(name: str, *changes: Callable[[Path], object]) -> Build:
    """A copy of a shipped model, with ``changes``."""

    def build(folder: Path) -> None:
        shutil.copytree(REPOSITORY / name, folder, dirs_exist_ok=True)
        for change in changes:
            change(folder)

    return build


def chat(*changes: Callable[[Path], object]) -> Build:
    return shipped("chat-fast", *changes)


def read(path: Path) -> dict[str, "np.ndarray[Any, Any]"]:
    """The tensors of a file, by name."""
    content = np.memmap(path, np.uint8, "r")
    length = int(content[:8].view(np.uint64)[0])
    header = json.loads(content[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    data = content[8 + length :]
    types = {"F32": np.float32, "I64": np.int64}
    return {
        name: data[slice(*row["data_offsets"])].view(types[row["dtype"]]).reshape(row["shape"])
        for name, row in header.items()
    }


def pack(arrays: Arrays) -> bytes:
    """A safetensors file."""
    header, data = {}, b""
    for name, array in arrays.items():
        start = len(data)
        data += array.tobytes()
        header[name] = {"dtype": _NAMES[array.dtype.name], "shape": array.shape, "data_offsets": [start, len(data)]}
    return with_header(json.dumps(header).encode(), data)


def weights(change: Callable[[dict[str, Any]], Arrays]) -> Build:
    """Write model.safetensors again, changed."""

    def apply(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(pack(change(read(path))))

    return apply


def shards(index: bool = True) -> Build:
    """Split model.safetensors into two files."""

    def apply(folder: Path) -> None:
        arrays = read(folder / "model.safetensors")
        (folder / "model.safetensors").unlink()
        names, places = sorted(arrays), {}
        for number, part in enumerate((names[::2], names[1::2]), 1):
            file = f"model-{number:05}-of-00002.safetensors"
            put(folder, file, pack({name: arrays[name] for name in part}))
            places.update(dict.fromkeys(part, file))
        if index:
            put(folder, "model.safetensors.index.json", json.dumps({"metadata": {}, "weight_map": places}))

    return apply


def _half(arrays: Arrays) -> Arrays:
    return {name: array.astype(np.float16) for name, array in arrays.items()}


def _brain(arrays: Arrays) -> Arrays:
    return {name: (array.view(np.uint32) >> 16).astype(np.uint16) for name, array in arrays.items()}


def _untied(arrays: dict[str, Any]) -> Arrays:
    return {**arrays, "lm_head.weight": arrays["model.embed_tokens.weight"]}


def _grouped(arrays: dict[str, Any]) -> Arrays:
    """Two key-value heads in place of four."""
    return {
        name: array[:64] if name.endswith(("k_proj.weight", "v_proj.weight")) else array
        for name, array in arrays.items()
    }


def _with_biases(arrays: dict[str, Any]) -> Arrays:
    """As Qwen 2 has them."""
    made = dict(arrays)
    for layer in range(5):
        for part in "qkv":
            made[f"model.layers.{layer}.self_attn.{part}_proj.bias"] = np.zeros(128, np.float32)
    return made


def _template_within(folder: Path) -> None:
    template = (folder / "chat_template.jinja").read_text()
    (folder / "chat_template.jinja").unlink()
    edit("tokenizer_config.json", chat_template=template)(folder)


_SMALL = {384: 8, 1536: 16}  # hidden_size and intermediate_size of the shipped embedding model


def small_embedding(*changes: Callable[[Path], object]) -> Build:
    """The shipped embedding model with one layer of six, vectors of 8 numbers and the same tokenizer, changed."""

    def build(folder: Path) -> None:
        whole = read(REPOSITORY / "embed" / "model.safetensors")
        kept = {name: array for name, array in whole.items() if ".layer." not in name or ".layer.0." in name}
        small = {
            name: array[tuple(slice(_SMALL.get(size, size)) for size in array.shape)] for name, array in kept.items()
        }
        large = shutil.ignore_patterns("model.safetensors")
        shutil.copytree(REPOSITORY / "embed", folder, dirs_exist_ok=True, ignore=large)
        put(folder, "model.safetensors", pack(small))
        edit("config.json", num_hidden_layers=1, hidden_size=8, intermediate_size=16, num_attention_heads=2)(folder)
        edit("1_Pooling/config.json", word_embedding_dimension=8)(folder)
        for change in changes:
            change(folder)

    return build


CARD = "---\nlicense: mit\n---\n\n# A chat model\n\nAnswers short questions.\n"
ADDED = {
    "content": "<tool>",
    "id": 1024,
    "lstrip": False,
    "normalized": False,
    "rstrip": False,
    "single_word": False,
    "special": True,
}

CASES: tuple[Case, ...] = (
    llm("chat-fast", shipped("chat-fast")),
    llm("chat-reasoning", shipped("chat-reasoning")),
    llm("embed", shipped("embed")),
    llm("chat-calm", chat(edit("generation_config.json", temperature=0.2, top_p=0.9, max_new_tokens=64))),
    llm("chat-in-two-files", chat(shards())),
    llm("chat-in-two-files-without-index", chat(shards(index=False))),
    llm("chat-half", chat(weights(_half), edit("config.json", dtype="float16"))),
    llm("chat-brain", chat(weights(_brain), edit("config.json", dtype="bfloat16"))),
    llm("chat-old-dtype", chat(edit("config.json", dtype=..., torch_dtype="float32"))),
    llm("chat-untied", chat(weights(_untied), edit("config.json", tie_word_embeddings=False))),
    llm("chat-grouped", chat(weights(_grouped), edit("config.json", num_key_value_heads=2))),
    llm(
        "chat-qwen",
        chat(weights(_with_biases), edit("config.json", architectures=["Qwen2ForCausalLM"], model_type="qwen2")),
    ),
    llm("chat-with-a-card", chat(write("README.md", CARD))),
    llm("chat-without-template", chat(remove("chat_template.jinja")), notes="no chat template"),
    llm("chat-template-within", chat(_template_within)),
    llm("chat-without-defaults", chat(remove("generation_config.json"))),
    llm("chat-other-weights-name", chat(rename("model.safetensors", "weights.safetensors"))),
    llm(
        "chat-longer-by-rope",
        chat(edit("config.json", rope_parameters={"rope_theta": 1e4, "rope_type": "linear", "factor": 2.0})),
    ),
    llm(
        "chat-as-embedding",
        chat(
            edit("config.json", architectures=["LlamaModel"]),
            weights(lambda arrays: {name.removeprefix("model."): array for name, array in arrays.items()}),
        ),
    ),
    llm("embed-small", small_embedding()),
    llm(
        "embed-without-modules",
        small_embedding(remove("modules.json", "1_Pooling/config.json", "sentence_bert_config.json")),
    ),
)
