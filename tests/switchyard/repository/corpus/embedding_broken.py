"""Broken embedding models: the shipped one, made small, and broken in ten ways."""

import json

from switchyard.repository.verdict import FaultCode as C
from tests.switchyard.repository.corpus.case import Case, no_llm
from tests.switchyard.repository.corpus.chat_good import small_embedding
from tests.switchyard.repository.huggingface.models import cut, edit, remove, write

CONFIG, WEIGHTS, MODULES, POOLING = "config.json", "model.safetensors", "modules.json", "1_Pooling/config.json"
LENGTH = "sentence_bert_config.json"


def _module(kind: str, path: str = "") -> str:
    return json.dumps([{"idx": 0, "name": "0", "path": path, "type": kind}])


CASES: tuple[Case, ...] = (
    no_llm("pooling-missing", small_embedding(remove(POOLING)), C.INCOMPLETE, POOLING, "copy it into the folder"),
    no_llm(
        "pooling-of-another-model",
        small_embedding(edit(POOLING, word_embedding_dimension=768)),
        C.MODEL_CONFIG,
        POOLING,
        "vectors have 768 numbers",
        "copy both of one model",
    ),
    no_llm(
        "modules-of-its-own",
        small_embedding(write(MODULES, _module("custom_st.Transformer"))),
        C.PICKLE,
        MODULES,
        "custom_st.Transformer",
        "choose a model of the modules",
    ),
    no_llm(
        "modules-elsewhere",
        small_embedding(write(MODULES, _module("sentence_transformers.models.Pooling", "../x"))),
        C.LINK,
        MODULES,
        "outside of the model",
        "correct it",
    ),
    no_llm(
        "modules-that-are-no-list",
        small_embedding(write(MODULES, "{}")),
        C.MODEL_CONFIG,
        MODULES,
        "copy the model's own",
    ),
    no_llm(
        "texts-of-negative-length",
        small_embedding(edit(LENGTH, max_seq_length=-1)),
        C.MODEL_CONFIG,
        LENGTH,
        "max_seq_length is -1",
        "write a whole number",
    ),
    no_llm(
        "more-positions",
        small_embedding(edit(CONFIG, max_position_embeddings=1024)),
        C.WEIGHTS,
        WEIGHTS,
        "max_position_embeddings",
        "weights and configuration of one export",
    ),
    no_llm(
        "fewer-words",
        small_embedding(edit(CONFIG, vocab_size=1000)),
        C.WEIGHTS,
        WEIGHTS,
        "[1000, 8]",
        "weights and configuration of one export",
    ),
    no_llm("embedding-cut-off", small_embedding(cut(WEIGHTS, 100_000)), C.INCOMPLETE, WEIGHTS, "copy it again"),
    no_llm(
        "embedding-without-tokenizer",
        small_embedding(remove("tokenizer.json")),
        C.TOKENIZER,
        "tokenizer.json",
        "save_pretrained",
    ),
)
