"""The tokenizer of both models: common words, single digits, bytes for all else, and a chat template."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

VOCABULARY = 1024  # at most
COMMON = 10
SPECIAL = ("<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>")
PAD, SYSTEM, USER, ASSISTANT, TOOL, END = SPECIAL

# Content may be text or a list of parts, and tools are accepted: a client written for larger models must not fail here.
CHAT_TEMPLATE = """\
{%- for message in messages -%}
{%- set role = message['role'] if message['role'] in ('user', 'assistant', 'tool') else 'system' -%}
{{- '<|' ~ role ~ '|>' -}}
{%- set content = message['content'] if 'content' in message else none -%}
{%- if content is string -%}
{{- content -}}
{%- elif content is not none -%}
{%- for part in content -%}
{%- if part is string -%}{{- part -}}{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|assistant|>' -}}
{%- endif -%}
"""


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Build a byte-level BPE tokenizer whose whole words are the commonest ones of the texts.

    Every byte is a piece, so any text or JSON can be read and written. There are no merges: pieces of words would use
    up a vocabulary this small, and a name that is one piece is far easier to copy than one that is three.
    """
    splitter = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    counts = Counter(word for text in texts for word, _ in splitter.pre_tokenize_str(text))
    pieces = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    common = (word for word, count in counts.items() if len(word) > 1 and count >= COMMON)
    pieces += sorted(common, key=lambda word: (-counts[word], word))[: VOCABULARY - len(pieces)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(SPECIAL))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[SYSTEM, USER, ASSISTANT, TOOL],
        chat_template=CHAT_TEMPLATE,
        model_max_length=2048,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and chat_template.jinja."""
    tokenizer.save_pretrained(str(folder))
