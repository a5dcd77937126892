"""What leads vLLM or transformers from a folder to other files than those that are judged."""

import json
from pathlib import Path

import pytest

from switchyard.repository.huggingface.inspector import inspect
from switchyard.repository.inspection import Surroundings
from switchyard.repository.verdict import FaultCode
from tests.switchyard.repository.huggingface.models import Break, both, copy_of, edit, write

C = FaultCode
CONFIG, TOKENIZER = "config.json", "tokenizer_config.json"
VERIFIER = {"verifier": {"name_or_path": "/other"}, "algorithm": "eagle3"}

REFERENCES: dict[str, tuple[Break, FaultCode, str, str]] = {
    "a verifier": (edit(CONFIG, speculators_config=VERIFIER), C.MODEL_CONFIG, CONFIG, "(speculators_config)"),
    "a speculator": (
        edit(CONFIG, speculators_model_type="eagle3"),
        C.MODEL_CONFIG,
        CONFIG,
        "(speculators_model_type)",
    ),
    "another name": (edit(CONFIG, name_or_path="org/other"), C.MODEL_CONFIG, CONFIG, "(name_or_path)"),
    "a part of another model": (
        edit(CONFIG, audio_config={"text_model_id": "org/other"}),
        C.MODEL_CONFIG,
        CONFIG,
        "(text_model_id)",
    ),
    "code of a part": (
        edit(CONFIG, vision_config={"auto_map": {"AutoConfig": "m.C"}}),
        C.PICKLE,
        CONFIG,
        'remove "auto_map"',
    ),
    "another config": (
        edit(CONFIG, configuration_files=["config.4.0.0.json"]),
        C.MODEL_CONFIG,
        CONFIG,
        "other files to read (configuration_files)",
    ),
    "another tokenizer": (
        edit(TOKENIZER, fast_tokenizer_files=["tokenizer.4.0.0.json"]),
        C.TOKENIZER,
        TOKENIZER,
        "(fast_tokenizer_files)",
    ),
    "a vocabulary elsewhere": (edit(TOKENIZER, vocab_file="/etc/x"), C.TOKENIZER, TOKENIZER, "(vocab_file)"),
    "settings among tokens": (
        write("special_tokens_map.json", json.dumps({"eos_token": "</s>", "tokenizer_file": "/other/tokenizer.json"})),
        C.TOKENIZER,
        "special_tokens_map.json",
        "has tokenizer_file, and names of tokens alone",
    ),
    "Mistral's format": (
        both(write("params.json", "{}"), write("consolidated.safetensors", b"")),
        C.MODEL_CONFIG,
        "consolidated.safetensors",
        "consolidated.safetensors, params.json: files of Mistral's own format",
    ),
    "Mistral's weights deeper": (
        write("a/consolidated-1.safetensors", b""),
        C.MODEL_CONFIG,
        "a/consolidated-1.safetensors",
        "remove them",
    ),
    "Mistral's tokenizer": (write("tekken.json", "{}"), C.MODEL_CONFIG, "tekken.json", "remove them"),
    "Mistral's old tokenizer": (
        write("tokenizer.model.v3", b"x"),
        C.MODEL_CONFIG,
        "tokenizer.model.v3",
        "remove them",
    ),
    "a template beside": (
        write("additional_chat_templates/default.jinja", "x"),
        C.MODEL_CONFIG,
        "additional_chat_templates/default.jinja",
        "in place of the one that is judged",
    ),
    "another head": (write("joint_head_config.json", "{}"), C.MODEL_CONFIG, "joint_head_config.json", "remove it"),
    "quantized elsewhere": (
        write("hf_quant_config.json", '{"quantization": {"quant_algo": "FP8"}}'),
        C.MODEL_CONFIG,
        "hf_quant_config.json",
        '"quantization_config" of config.json',
    ),
}

FOLLOWED_BY_NOTHING: dict[str, Break] = {
    "where it was trained": edit(CONFIG, _name_or_path="/home/a/checkpoints", text_model_id=None),
    "where the tokenizer was": edit(TOKENIZER, name_or_path="/home/a", tokenizer_file="/home/a/t.json", init_inputs=[]),
    "special tokens": write("special_tokens_map.json", json.dumps({"additional_special_tokens": [], "eos_token": "a"})),
    "an adapter's origin": write("adapter_config.json", json.dumps({"base_model_name_or_path": "org/other"})),
    "Meta's folder": write("original/params.json", "{}"),
}


@pytest.mark.parametrize("case", REFERENCES)
def test_what_leads_to_other_files_is_a_fault(case: str, tmp_path: Path) -> None:
    change, code, file, part = REFERENCES[case]
    folder = copy_of("chat-fast", tmp_path)
    change(folder)
    found = inspect(folder, Surroundings())
    assert found.facts is None
    first = found.faults[0]
    assert (first.code, first.file) == (code, file), found.faults
    assert part in first.message
    assert "emove" in first.message


@pytest.mark.parametrize("case", FOLLOWED_BY_NOTHING)
def test_names_that_nothing_follows_are_taken(case: str, tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    FOLLOWED_BY_NOTHING[case](folder)
    assert inspect(folder, Surroundings()).faults == ()


def test_the_origin_of_quantized_weights_is_no_other_model(tmp_path: Path) -> None:
    folder = copy_of("chat-fast", tmp_path)
    quantization = {"quant_method": "gptq", "bits": 4, "model_name_or_path": "org/o", "name_or_path": "org/o"}
    edit(CONFIG, quantization_config=quantization)(folder)
    assert not [fault for fault in inspect(folder, Surroundings()).faults if "another model" in fault.message]
