"""What is read as usage, and what is not."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.http.usage import Usage, usage_of, usage_of_tail

CHAT = {
    "prompt_tokens": 12,
    "completion_tokens": 7,
    "total_tokens": 19,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}
COUNTED = Usage(prompt_tokens=12, completion_tokens=7, cached_tokens=4, reasoning_tokens=3)


def test_usage_of_chats_and_of_responses_is_read() -> None:
    responses = {
        "input_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
    }
    assert usage_of(CHAT) == usage_of(responses) == COUNTED
    anthropic = {"input_tokens": 5, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 7}
    assert usage_of(anthropic) == Usage(prompt_tokens=12, completion_tokens=7, cached_tokens=4)
    assert usage_of({**CHAT, "cache_read_input_tokens": 4}) == COUNTED  # the whole prompt is in it already
    assert usage_of({"inferences": 2, "pixels": 5}) == Usage(inferences=2, pixels=5)


def test_the_end_of_a_body_is_enough() -> None:
    whole = json.dumps({"choices": ["x" * 100], "usage": CHAT, "kv_transfer_params": None}).encode()
    compact = whole.replace(b": ", b":")
    assert usage_of_tail(whole[-300:]) == usage_of_tail(compact[-260:]) == COUNTED


def test_of_a_stream_the_last_event_with_counts_counts() -> None:
    first = b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'
    last = b'data: {"choices":[],"usage":' + json.dumps(CHAT).encode() + b"}\n\n"
    assert usage_of_tail(first + last + b'data: {"usage":null}\n\ndata: [DONE]\n\n') == COUNTED


def test_a_comment_of_our_predictors_counts_before_a_field() -> None:
    field = b'data: {"usage":{"prompt_tokens":1}}\n\n'
    comment = b": usage " + json.dumps(CHAT).encode() + b"\n\n"
    assert usage_of_tail(field + comment + b"data: [DONE]\n\n") == COUNTED
    assert usage_of_tail(comment + field) == COUNTED


@given(st.text())
def test_text_that_a_model_writes_is_never_taken_for_usage(text: str) -> None:
    for forged in (text, text + '"usage":{"prompt_tokens":999}', text + '\n: usage {"prompt_tokens":999}'):
        event = b"data: " + json.dumps({"choices": [{"delta": {"content": forged}}]}).encode() + b"\n\n"
        assert usage_of_tail(b": waking\n\n" + event) is None


@pytest.mark.parametrize("wrong", [None, 3, [], "text"])
def test_what_is_no_object_is_no_usage(wrong: object) -> None:
    assert usage_of(wrong) is None


WRONG = [-1, 1.5, True, "7", [1], 2**53, float("nan"), float("inf")]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", ["prompt_tokens", "completion_tokens", "inferences", "pixels"])
def test_usage_with_what_is_no_count_is_none(name: str, wrong: object) -> None:
    said = {**CHAT, name: wrong}
    assert usage_of(said) is None
    earlier = b'data: {"usage":{"prompt_tokens":1}}\n\n'
    assert usage_of_tail(earlier + b'data: {"usage":' + json.dumps(said).encode() + b"}\n\n") is None


@pytest.mark.parametrize("wrong", WRONG)
def test_a_part_that_is_no_count_and_a_count_that_is_null_are_nothing(wrong: object) -> None:
    parts = {"prompt_tokens_details": {"cached_tokens": wrong}, "completion_tokens_details": wrong}
    assert usage_of({**CHAT, **parts}) == Usage(prompt_tokens=12, completion_tokens=7)
    assert usage_of({"prompt_tokens": 5, "completion_tokens": None}) == Usage(prompt_tokens=5)
    assert usage_of({"prompt_tokens": None, "completion_tokens": None}) is None
    none = {"cache_read_input_tokens": None, "cache_creation_input_tokens": None}
    assert usage_of({"input_tokens": 5, "output_tokens": 7, **none}) == Usage(prompt_tokens=5, completion_tokens=7)


def test_parts_never_exceed_their_whole() -> None:
    usage = usage_of({**CHAT, "prompt_tokens": 2, "completion_tokens": 1})
    assert usage == Usage(prompt_tokens=2, completion_tokens=1, cached_tokens=2, reasoning_tokens=1)


def test_a_tail_that_is_cut_anywhere_is_no_error() -> None:
    whole = b'{"usage": {"prompt_tokens": 1, "completion_tokens": 2}}'
    for end in range(len(whole)):
        usage_of_tail(whole[:end])
        usage_of_tail(whole[end:])
