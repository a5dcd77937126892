"""Every way to break a model has its code, its file, and a sentence with the fix."""

import json
from pathlib import Path
from typing import Any

import pytest

from switchyard.repository.huggingface.inspector import inspect
from switchyard.repository.inspection import Device, Surroundings
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository.huggingface.models import (
    Break,
    append,
    both,
    copy_of,
    cut,
    edit,
    overwrite,
    remove,
    rename,
    rename_tensor,
    write,
)

C = FaultCode
INDEX = "model.safetensors.index.json"
EMBEDDING = "model.embed_tokens.weight"


def shard_index(**files: str) -> Break:
    return write(INDEX, json.dumps({"weight_map": {name.replace("__", "."): file for name, file in files.items()}}))


def write_number(file: str, name: str, text: str) -> Break:
    """Add ``"name": text`` to a JSON object, as json would not write it."""

    def change(folder: Path) -> None:
        rest = (folder / file).read_text().lstrip().removeprefix("{")
        (folder / file).write_text(f'{{"{name}": {text}, {rest}')

    return change


def replacing(*pairs: tuple[str, str]) -> dict[str, Any]:
    normalizers = [{"type": "Replace", "pattern": {"String": old}, "content": new} for old, new in pairs]
    return {"type": "Sequence", "normalizers": normalizers}


def splitting(regex: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def endless_for(messages: int) -> str:
    loop = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
    return (
        "{% for m in messages %}{{ m.content }}{% endfor %}{% if messages | length == "
        + f"{messages} %}}{loop}{{% endif %}}"
    )


BROKEN: dict[str, tuple[Break, FaultCode, str, str]] = {
    "no config": (remove("config.json"), C.INCOMPLETE, "config.json", "config.json is missing"),
    "an archive": (both(remove("config.json"), write("a.tar.gz", b"")), C.MISPLACED, "a.tar.gz", "not unpacked here"),
    "a vision model": (both(remove("config.json"), write("1/a.onnx", b"")), C.MISPLACED, "", "from llm/ to vision/"),
    "empty config": (write("config.json", ""), C.INCOMPLETE, "config.json", "is empty: copy it"),
    "half a config": (cut("config.json", 100), C.MODEL_CONFIG, "config.json", "is not JSON ("),
    "config is a list": (write("config.json", "[]"), C.MODEL_CONFIG, "config.json", "has to be a JSON object"),
    "config of bytes": (write("config.json", b"\xff\xfe\x00"), C.MODEL_CONFIG, "config.json", "is not UTF-8 text"),
    "deep config": (write("config.json", "[" * 100_000), C.MODEL_CONFIG, "config.json", "nests too deeply"),
    "long config": (write("config.json", " " * 5_000_000), C.TOO_LARGE, "config.json", "5000000 bytes"),
    "no architecture": (edit("config.json", architectures=...), C.MODEL_CONFIG, "config.json", '"architectures": ["'),
    "misspelled architecture": (
        edit("config.json", architectures=["LlamaForCasualLM"]),
        C.ARCHITECTURE,
        "config.json",
        "did you mean LlamaForCausalLM?",
    ),
    "unknown architecture": (
        edit("config.json", architectures=["Perceptron\n\x1b[31m"]),
        C.ARCHITECTURE,
        "config.json",
        r"'Perceptron\n\x1b[31m', which vLLM",
    ),
    "architecture of the past": (
        edit("config.json", architectures=["MPTForCausalLM"]),
        C.ARCHITECTURE,
        "config.json",
        "which vLLM served up to 0.28.0",
    ),
    "code": (edit("config.json", auto_map={"AutoModel": "m.M"}), C.PICKLE, "config.json", 'remove "auto_map"'),
    "tokenizer's code": (
        edit("tokenizer_config.json", auto_map={"AutoTokenizer": ["t.T", None]}),
        C.PICKLE,
        "tokenizer_config.json",
        "no code of a model is run here",
    ),
    "a text as a number": (
        edit("config.json", hidden_size="128"),
        C.MODEL_CONFIG,
        "config.json",
        'hidden_size is "128": write a whole number',
    ),
    "NaN": (edit("config.json", rope_theta=float("nan")), C.MODEL_CONFIG, "config.json", "rope_theta is nan: write a"),
    "infinity within": (
        write_number("config.json", "rope_scaling", '{"rope_type": "linear", "factor": [2, 1e999]}'),
        C.MODEL_CONFIG,
        "config.json",
        "factor is inf: write a finite number",
    ),
    "infinity by default": (
        write_number("generation_config.json", "length_penalty", "-Infinity"),
        C.MODEL_CONFIG,
        "generation_config.json",
        "length_penalty is -inf",
    ),
    "no heads": (edit("config.json", num_attention_heads=0), C.MODEL_CONFIG, "config.json", "num_attention_heads is 0"),
    "endless layers": (edit("config.json", num_hidden_layers=10**30), C.MODEL_CONFIG, "config.json", "whole number"),
    "odd heads": (
        edit("config.json", head_dim=None, num_attention_heads=3),
        C.MODEL_CONFIG,
        "config.json",
        "hidden_size 128 is no multiple of num_attention_heads 3",
    ),
    "odd key-value heads": (
        edit("config.json", num_key_value_heads=3),
        C.MODEL_CONFIG,
        "config.json",
        "num_attention_heads 4 is no multiple of num_key_value_heads 3",
    ),
    "unknown dtype": (
        edit("config.json", dtype="float12"),
        C.MODEL_CONFIG,
        "config.json",
        "float32, float16, bfloat16",
    ),
    "rope by zero": (
        edit("config.json", rope_scaling={"rope_type": "linear", "factor": 0}, rope_parameters=None),
        C.MODEL_CONFIG,
        "config.json",
        "a number from 1 to 1024",
    ),
    "end beyond the vocabulary": (
        edit("config.json", eos_token_id=1024),
        C.MODEL_CONFIG,
        "config.json",
        "ends at 1023",
    ),
    "no JSON as defaults": (write("generation_config.json", "{"), C.MODEL_CONFIG, "generation_config.json", "not JSON"),
    "cold defaults": (
        edit("generation_config.json", temperature=-1),
        C.MODEL_CONFIG,
        "generation_config.json",
        "temperature is -1: write a number from 0",
    ),
    "no weights": (remove("model.safetensors"), C.INCOMPLETE, "", "no weights in safetensors"),
    "pickled weights": (
        both(remove("model.safetensors"), write("pytorch_model.bin", b"PK\x03\x04")),
        C.PICKLE,
        "pytorch_model.bin",
        "model.safetensors",
    ),
    "GGUF": (
        both(remove("config.json", "model.safetensors"), write("model-q4.gguf", b"GGUF")),
        C.WEIGHTS,
        "model-q4.gguf",
        "repository with safetensors",
    ),
    "an adapter": (
        both(remove("config.json"), edit("adapter_config.json", peft_type="LORA")),
        C.MODEL_CONFIG,
        "adapter_config.json",
        "merge it into its base model",
    ),
    "weights of three bytes": (cut("model.safetensors", 3), C.INCOMPLETE, "model.safetensors", "has only 3 bytes"),
    "half a header": (cut("model.safetensors", 1000), C.INCOMPLETE, "model.safetensors", "its header alone"),
    "half the weights": (
        cut("model.safetensors", 2_000_000),
        C.INCOMPLETE,
        "model.safetensors",
        "has 2000000 bytes, but its header says 4303248",
    ),
    "more than the weights": (
        append("model.safetensors", b"more"),
        C.WEIGHTS,
        "model.safetensors",
        "4 bytes follow its tensors",
    ),
    "absurd header": (write("model.safetensors", b"\xff" * 100), C.TOO_LARGE, "model.safetensors", "its header has"),
    "a page as weights": (
        write("model.safetensors", b"\x20\0\0\0\0\0\0\0<html>404 not found</html>      "),
        C.WEIGHTS,
        "model.safetensors",
        "no valid safetensors file",
    ),
    "a pointer as weights": (
        write("model.safetensors", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4303248\n"),
        C.INCOMPLETE,
        "model.safetensors",
        "git lfs pull",
    ),
    "a missing shard": (
        both(
            rename("model.safetensors", "model-00001-of-00002.safetensors"),
            shard_index(
                model__embed_tokens__weight="model-00001-of-00002.safetensors",
                lm_head__weight="model-00002-of-00002.safetensors",
            ),
        ),
        C.INCOMPLETE,
        "model-00002-of-00002.safetensors",
        "names 2 files, of which model-00002-of-00002.safetensors is missing",
    ),
    "a missing shard without an index": (
        rename("model.safetensors", "model-00001-of-00003.safetensors"),
        C.INCOMPLETE,
        "model-00002-of-00003.safetensors",
        "are missing: copy them",
    ),
    "an index of another export": (
        shard_index(model__embed_tokens__weight="model.safetensors", lm_head__weight="model.safetensors"),
        C.WEIGHTS,
        INDEX,
        "names the tensor lm_head.weight in model.safetensors",
    ),
    "an index that leaves the folder": (
        shard_index(lm_head__weight="../chat-fast/model.safetensors"),
        C.LINK,
        INDEX,
        "no *.safetensors of this folder",
    ),
    "an index without a map": (write(INDEX, "{}"), C.WEIGHTS, INDEX, '"weight_map"'),
    "a wider model": (
        edit("config.json", hidden_size=256),
        C.WEIGHTS,
        "model.safetensors",
        "gives model.embed_tokens.weight the shape [1024, 256] (vocab_size × hidden_size), but model.safetensors has "
        "[1024, 128]",
    ),
    "a larger vocabulary": (edit("config.json", vocab_size=2048), C.WEIGHTS, "model.safetensors", "shape [2048, 128]"),
    "fewer key-value heads": (
        edit("config.json", num_key_value_heads=2),
        C.WEIGHTS,
        "model.safetensors",
        "k_proj.weight the shape [64, 128] (num_key_value_heads · head_dim × hidden_size)",
    ),
    "a longer inside": (edit("config.json", intermediate_size=640), C.WEIGHTS, "model.safetensors", "[640, 128]"),
    "a layer too few": (
        edit("config.json", num_hidden_layers=6),
        C.WEIGHTS,
        "config.json",
        "the weights have 5 layers",
    ),
    "a layer too many": (edit("config.json", num_hidden_layers=4), C.WEIGHTS, "config.json", "num_hidden_layers is 4"),
    "no head of its own": (
        edit("config.json", tie_word_embeddings=False),
        C.WEIGHTS,
        "model.safetensors",
        "has no tensor lm_head.weight",
    ),
    "a tensor of another name": (
        rename_tensor("model.norm.weight", "model.final_norm.weight"),
        C.WEIGHTS,
        "model.safetensors",
        "has no tensor model.norm.weight (hidden_size)",
    ),
    "damaged weights": (
        overwrite(0xFF),
        C.WEIGHTS,
        "model.safetensors",
        "has NaN or infinity in model.embed_tokens.weight and 46 more of 47 tensors: copy the weights again",
    ),
    "a tensor of NaN": (
        overwrite(0xFF, "model.norm.weight"),
        C.WEIGHTS,
        "model.safetensors",
        "has NaN or infinity in model.norm.weight of 47 tensors",
    ),
    "weights of zeros": (
        overwrite(0),
        C.WEIGHTS,
        "model.safetensors",
        "has nothing but zeros in model.embed_tokens.weight",
    ),
    "no tokenizer": (remove("tokenizer.json"), C.INCOMPLETE, "tokenizer.json", "tokenizer.json is missing"),
    "a slow tokenizer": (
        both(remove("tokenizer.json"), write("tokenizer.model", b"\n")),
        C.TOKENIZER,
        "tokenizer.json",
        'AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER")',
    ),
    **{
        f"endless for {count} messages": (
            write("chat_template.jinja", endless_for(count)),
            C.CHAT_TEMPLATE,
            "chat_template.jinja",
            "cannot be rendered within bounds",
        )
        for count in (1, 2, 3, 4, 5, 6, 15, 16)
    },
    "endless for long messages": (
        write(
            "chat_template.jinja",
            "{% for m in messages %}{{ m.content }}"
            "{% if m.content | length > 2000 %}"
            "{% for a in range(9999) %}{% for b in range(99) %}{% endfor %}{% endfor %}{% endif %}{% endfor %}",
        ),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "cannot be rendered within bounds",
    ),
    "a normalizer that blows up": (
        edit("tokenizer.json", normalizer=replacing(("a", "a" * 1000), ("a", "a" * 1000))),
        C.TOKENIZER,
        "tokenizer.json",
        "its normalizer makes 1000 bytes of 1",
    ),
    "normalizers that blow up together": (
        edit("tokenizer.json", normalizer=replacing(("a", "b" * 15), ("b", "c" * 15))),
        C.TOKENIZER,
        "tokenizer.json",
        "its normalizer makes 225 bytes of 1",
    ),
    "a decoder that blows up": (
        edit("tokenizer.json", decoder=replacing(("a", "b" * 100))["normalizers"][0]),
        C.TOKENIZER,
        "tokenizer.json",
        "its decoder makes 100 bytes of 1",
    ),
    "a pattern without end": (
        edit("tokenizer.json", pre_tokenizer=splitting(r"(?:\w+\s?)+!")),
        C.TOKENIZER,
        "tokenizer.json",
        r"regular expression (?:\w+\s?)+! repeats what repeats within",
    ),
    "a pattern of many ways": (
        edit("tokenizer.json", pre_tokenizer=splitting("(a|a)*b")),
        C.TOKENIZER,
        "tokenizer.json",
        "cannot encode texts in which characters repeat (Onig: Regex search error",
    ),
    "half a tokenizer": (cut("tokenizer.json", 5000), C.TOKENIZER, "tokenizer.json", "EOF while parsing"),
    "a tokenizer of nothing": (
        write("tokenizer.json", "{}"),
        C.TOKENIZER,
        "tokenizer.json",
        "tokenizers library reads",
    ),
    "an unknown end token": (
        edit("tokenizer_config.json", eos_token="</s>"),
        C.TOKENIZER,
        "tokenizer_config.json",
        "eos_token is </s>, which tokenizer.json does not have",
    ),
    "an end that is no token": (
        edit("generation_config.json", eos_token_id="5"),
        C.TOKENIZER,
        "generation_config.json",
        'a text ends with the token "5"',
    ),
    "a template with a typo": (
        write("chat_template.jinja", "{% for message in messages %}{{ message.content }}"),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "cannot be rendered for a user's message (Unexpected end of template.",
    ),
    "a template that raises": (
        write("chat_template.jinja", "{{ raise_exception('no chats, please') }}"),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "rejects a user's message (no chats, please)",
    ),
    "a template without words": (
        write("chat_template.jinja", "{% for message in messages %}<|user|>{{ message.text }}{% endfor %}"),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "leaves a user's words out",
    ),
    "a template that escapes": (
        write("chat_template.jinja", "{{ messages.__class__.__mro__ }}"),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "is unsafe",
    ),
    "a template without end": (
        write("chat_template.jinja", "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"),
        C.CHAT_TEMPLATE,
        "chat_template.jinja",
        "cannot be rendered within bounds",
    ),
    "a template that is a number": (
        both(remove("chat_template.jinja"), edit("tokenizer_config.json", chat_template=7)),
        C.CHAT_TEMPLATE,
        "tokenizer_config.json",
        "a chat_template that is no text",
    ),
    "an unknown quantization": (
        edit("config.json", quantization_config={"quant_method": "torchao"}),
        C.QUANTIZATION,
        "config.json",
        "quantized by torchao, which vLLM",
    ),
    "a quantization without a name": (
        edit("config.json", quantization_config={"bits": 4}),
        C.QUANTIZATION,
        "config.json",
        '"quant_method"',
    ),
    "a quantization for GPUs": (
        edit("config.json", quantization_config={"quant_method": "mxfp4"}),
        C.QUANTIZATION,
        "config.json",
        "does not run in float32 on a CPU",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_model_is_told_what_is_wrong_and_where(case: str, tmp_path: Path) -> None:
    change, code, file, part = BROKEN[case]
    folder = copy_of("chat-fast", tmp_path)
    change(folder)
    found = inspect(folder, Surroundings(device=Device(memory=8 << 30)))
    assert found.facts is None
    first = found.faults[0]
    assert (first.code, first.file) == (code, file), found.faults
    assert part in first.message
    for fault in found.faults:
        assert str(tmp_path) not in fault.message
        assert fault.message.isprintable()
        assert len(fault.message) < 600


def test_a_model_that_does_not_fit_is_told_the_sum(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    found = inspect(folder, Surroundings(device=Device(memory=512 << 20)))
    assert [fault.code for fault in found.faults] == [FaultCode.MEMORY]
    assert found.faults[0].message == (
        "The model needs 4 MiB of weights + 256 MiB of KV cache for 2048 tokens + 512 MiB for the engine = 772 MiB, "
        "but models may take 512 MiB here: choose a smaller or quantized model, or a machine with more memory."
    )


def test_old_gpus_are_told_which_they_would_have_to_be(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    edit("config.json", quantization_config={"quant_method": "awq"})(folder)
    device = Device(kind="cuda", name="Tesla V100", memory=16 << 30, compute_capability=(7, 0))
    found = inspect(folder, Surroundings(device=device))
    assert found.faults[0].code is FaultCode.QUANTIZATION
    assert "needs a GPU of compute capability 7.5, and Tesla V100 has 7.0" in found.faults[0].message


EMBED_BROKEN: dict[str, tuple[Break, FaultCode, str, str]] = {
    "modules of its own": (
        write("modules.json", json.dumps([{"type": "custom_st.Transformer", "path": ""}])),
        C.PICKLE,
        "modules.json",
        "code of its own to load (custom_st.Transformer)",
    ),
    "modules outside": (
        write("modules.json", json.dumps([{"type": "sentence_transformers.models.Pooling", "path": "../x"}])),
        C.LINK,
        "modules.json",
        "outside of the model",
    ),
    "no pooling": (remove("1_Pooling/config.json"), C.INCOMPLETE, "1_Pooling/config.json", "is missing"),
    "pooling of another model": (
        edit("1_Pooling/config.json", word_embedding_dimension=768),
        C.MODEL_CONFIG,
        "1_Pooling/config.json",
        "vectors have 768 numbers, but hidden_size of config.json is 384",
    ),
    "a text of any length": (
        edit("sentence_bert_config.json", max_seq_length=-1),
        C.MODEL_CONFIG,
        "sentence_bert_config.json",
        "max_seq_length is -1",
    ),
    "more positions": (
        edit("config.json", max_position_embeddings=1024),
        C.WEIGHTS,
        "model.safetensors",
        "max_position_embeddings × hidden_size",
    ),
    "a small vocabulary": (edit("config.json", vocab_size=1000), C.WEIGHTS, "model.safetensors", "[1000, 384]"),
}


@pytest.mark.parametrize("case", EMBED_BROKEN)
def test_a_broken_embedding_model_is_told_what_is_wrong(case: str, tmp_path: Path) -> None:
    change, code, file, part = EMBED_BROKEN[case]
    folder = copy_of("embed", tmp_path)
    change(folder)
    found = inspect(folder, Surroundings())
    assert found.facts is None
    assert (found.faults[0].code, found.faults[0].file) == (code, file), found.faults
    assert part in found.faults[0].message
