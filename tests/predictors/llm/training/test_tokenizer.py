"""The tokenizer reads and writes any text, digit by digit, and its template takes any common chat."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("transformers")

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from predictors.llm.training.problems import training_stream
from predictors.llm.training.tokenizer import SPECIAL, save_tokenizer, train_tokenizer

TOKENIZER = train_tokenizer(
    f"{example.conversation}\n{example.reply('reasoning')}"
    for example in itertools.islice(training_stream(7, "reasoning"), 3000)
)


def rendered(messages: list[dict[str, Any]], **options: Any) -> str:
    return str(TOKENIZER.apply_chat_template(messages, tokenize=False, **options))


@given(st.text())
def test_any_text_comes_back_unchanged(text: str) -> None:
    if not any(token in text for token in SPECIAL):
        assert TOKENIZER.decode(TOKENIZER(text).input_ids) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_comes_back_unchanged(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False)
    if not any(token in text for token in SPECIAL):
        assert json.loads(TOKENIZER.decode(TOKENIZER(text).input_ids)) == value


@given(st.integers(0, 10**12))
def test_every_digit_is_a_token_of_its_own(number: int) -> None:
    assert TOKENIZER.tokenize(str(number)) == list(str(number))


def test_every_byte_is_a_token() -> None:
    singles = [piece for piece in TOKENIZER.get_vocab() if len(piece) == 1]
    assert len(singles) == 256


def test_special_tokens_are_single_tokens() -> None:
    assert all(len(TOKENIZER(token).input_ids) == 1 for token in SPECIAL)


def test_a_chat_is_written_turn_by_turn() -> None:
    messages = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": "Bye"},
    ]
    assert rendered(messages, add_generation_prompt=True) == (
        "<|system|>Be kind.<|end|><|user|>Hi<|end|><|assistant|>Hello!<|end|><|user|>Bye<|end|><|assistant|>"
    )


def test_a_developer_message_counts_as_a_system_message() -> None:
    assert rendered([{"role": "developer", "content": "Be kind."}]) == "<|system|>Be kind.<|end|>"


def test_content_may_be_a_list_of_parts() -> None:
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "2 + 2?"}]
    assert rendered([{"role": "user", "content": parts}]) == "<|user|>What is 2 + 2?<|end|>"


def test_tools_and_tool_messages_are_accepted() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "Add"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
    ]
    tools = [{"type": "function", "function": {"name": "add", "description": "Add.", "parameters": {"type": "object"}}}]
    assert rendered(messages, tools=tools).endswith("<|tool|>4<|end|>")


def test_the_saved_tokenizer_loads_as_any_other(tmp_path: Path) -> None:
    save_tokenizer(TOKENIZER, tmp_path)
    loaded = AutoTokenizer.from_pretrained(str(tmp_path))
    assert isinstance(loaded, PreTrainedTokenizerFast)
    assert loaded.chat_template == TOKENIZER.chat_template
    assert (loaded.eos_token, loaded.pad_token) == ("<|end|>", "<|pad|>")
    assert loaded("Ana has 12 apples.").input_ids == TOKENIZER("Ana has 12 apples.").input_ids
