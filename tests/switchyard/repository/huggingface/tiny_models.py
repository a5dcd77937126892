"""Writes tiny models of common architectures with random weights, as transformers saves them: ``… FOLDER``.

A process of its own, as torch and transformers take seconds and half a gigabyte.
"""

import sys
from pathlib import Path
from typing import Any

_COMMON: dict[str, Any] = {
    "vocab_size": 1024,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "bos_token_id": None,
    "eos_token_id": 5,
    "pad_token_id": 0,
}
_GROUPED = {**_COMMON, "num_key_value_heads": 2}
_WIDE = {**_GROUPED, "head_dim": 32}  # heads · head_dim is not hidden_size
_LATENT = {"kv_lora_rank": 16, "q_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}
_EXPERTS = {"n_routed_experts": 4, "moe_intermediate_size": 32, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 2}
_GPT2 = {"vocab_size": 1024, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512, "eos_token_id": 5}
_PADDED = {**_COMMON, "max_position_embeddings": 514, "pad_token_id": 1}

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "LlamaForCausalLM": {**_GROUPED, "attention_bias": True},
    "MistralForCausalLM": _WIDE,
    "Qwen2ForCausalLM": {**_GROUPED, "tie_word_embeddings": True},
    "Qwen3ForCausalLM": _WIDE,
    "Qwen3Model": _WIDE,
    "Gemma2ForCausalLM": {**_GROUPED, "head_dim": 16},
    "Phi3ForCausalLM": _GROUPED,
    "GPT2LMHeadModel": {**_GPT2, "bos_token_id": 5},
    "MixtralForCausalLM": {**_GROUPED, "num_local_experts": 4},
    "DeepseekV3ForCausalLM": {**_COMMON, **_LATENT, **_EXPERTS, "num_key_value_heads": 4, "first_k_dense_replace": 1},
    "BertModel": _COMMON,
    "BertForSequenceClassification": _COMMON,
    "RobertaModel": _PADDED,
    "XLMRobertaForSequenceClassification": _PADDED,
}


def main(folder: Path) -> None:
    import transformers

    for name, values in ARCHITECTURES.items():
        model = getattr(transformers, name)
        model(model.config_class(**values)).save_pretrained(folder / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
