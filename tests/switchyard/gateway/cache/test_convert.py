"""A stream is made of a plain response, and the other way round, or it is not made at all."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.cache.canonical import form_of, stream_form
from switchyard.gateway.cache.convert import CHAT, COMPLETION, may_convert, other_form, to_plain, to_stream

USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7, "prompt_tokens_details": {"cached_tokens": 1}}
ENDS = st.sampled_from(["stop", "length"])
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


def chat(*texts: str, end: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat as vLLM writes it, with the fields that it writes as null."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None, "tool_calls": [], **message},
            "logprobs": None,
            "finish_reason": end,
            "stop_reason": None,
            "token_ids": None,
        }
        for index, text in enumerate(texts)
    ]
    whole = {"id": "chatcmpl-1", "object": "chat.completion", "created": 3, "model": "chat", "service_tier": None}
    return {**whole, "choices": choices, "usage": USAGE, "prompt_logprobs": None}


def completion(*texts: str, end: str = "stop") -> dict[str, Any]:
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": end, "stop_reason": "x"}
        for index, text in enumerate(texts)
    ]
    whole = {"id": "cmpl-1", "object": "text_completion", "created": 3, "model": "chat"}
    return {**whole, "choices": choices, "usage": USAGE}


def chunks(*deltas: dict[str, Any], usage: bool = True, **last: Any) -> list[dict[str, Any]]:
    """The chunks of a stream of one choice, as vLLM writes them."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 3, "model": "chat"}
    parts: list[dict[str, Any]] = [
        {**base, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]} for delta in deltas
    ]
    parts[-1]["choices"][0] |= {"finish_reason": "stop", "stop_reason": None, **last}
    return [*parts, {**base, "choices": [], "usage": USAGE}] if usage else parts


def data(parts: Sequence[dict[str, Any]]) -> list[bytes]:
    return [*(json.dumps(part).encode() for part in parts), b"[DONE]"]


def plain(path: str, lines: Sequence[bytes]) -> Any:
    made = to_plain(path, lines)
    return None if made is None else json.loads(made)


def said(events: Sequence[bytes] | None) -> list[bytes]:
    assert events is not None
    return [event.removeprefix(b"data: ").removesuffix(b"\n\n") for event in events]


@given(st.lists(TEXT, min_size=1, max_size=3), ENDS)
def test_there_and_back_says_the_same(texts: list[str], end: str) -> None:
    for path, whole in ((CHAT, chat(*texts, end=end)), (COMPLETION, completion(*texts, end=end))):
        back = plain(path, said(to_stream(path, json.dumps(whole).encode(), with_usage=True)))
        assert back["usage"] == USAGE
        assert {name: back[name] for name in ("id", "object", "created", "model")} == {
            name: whole[name] for name in ("id", "object", "created", "model")
        }
        for one, other in zip(whole["choices"], back["choices"], strict=True):
            named = ("index", "finish_reason", "stop_reason", *(() if path == CHAT else ("text",)))
            assert [one[name] for name in named] == [other[name] for name in named]
            if path == CHAT:
                assert other["message"] == {"role": "assistant", "content": one["message"]["content"]}


@given(st.lists(TEXT, min_size=1, max_size=5))
def test_a_stream_as_vllm_writes_it_becomes_one_text(texts: list[str]) -> None:
    deltas = [{"role": "assistant", "content": ""}, *({"content": text} for text in texts)]
    made = plain(CHAT, data(chunks(*deltas, stop_reason=7)))
    (choice,) = made["choices"]
    assert choice["message"]["content"] == "".join(texts)
    assert (choice["finish_reason"], choice["stop_reason"], made["usage"]) == ("stop", 7, USAGE)


def test_a_stream_has_its_usage_where_that_is_asked_for_and_the_clients_end() -> None:
    body = json.dumps(chat("hi")).encode()
    *events, usage, done = said(to_stream(CHAT, body, with_usage=True))
    assert json.loads(usage)["usage"] == USAGE
    assert done == b"[DONE]"
    assert [json.loads(event)["object"] for event in events] == ["chat.completion.chunk"] * 2
    assert b"usage" not in b"".join(said(to_stream(CHAT, body, with_usage=False)))


@pytest.mark.parametrize(
    "message",
    [
        {"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"reasoning": "hm"},
        {"refusal": "no"},
        {"content": None},
        {"role": "user"},
        {"citations": ["a"]},
    ],
)
def test_a_plain_response_with_more_than_text_is_not_streamed(message: dict[str, Any]) -> None:
    whole = chat("hi")
    whole["choices"][0]["message"] |= message
    assert to_stream(CHAT, json.dumps(whole).encode(), with_usage=False) is None


@pytest.mark.parametrize(
    ("of_choice", "of_whole"),
    [({"logprobs": {"content": []}}, {}), ({"token_ids": [1]}, {}), ({}, {"metrics": {"a": 1}}), ({}, {"error": {}})],
)
def test_fields_beyond_the_text_are_not_lost(of_choice: dict[str, Any], of_whole: dict[str, Any]) -> None:
    whole = {**chat("hi"), **of_whole}
    whole["choices"][0] |= of_choice
    made = to_stream(CHAT, json.dumps(whole).encode(), with_usage=False)
    assert (made is None) is (of_whole != {"error": {}})
    streamed = chunks({"content": "hi"}, **of_choice)
    streamed[0] |= of_whole
    assert (to_plain(CHAT, data(streamed)) is None) is (of_whole != {"error": {}})


@pytest.mark.parametrize(
    "lines",
    [
        data(chunks({"content": "hi"}, usage=False)),  # nobody counted it
        data(chunks({"content": "hi"}))[:-1],  # cut before its end
        data(chunks({"content": "hi"}, finish_reason=None)),
        data(chunks({"tool_calls": [{"index": 0}]})),
        [b'{"error": {"message": "no"}}', b"[DONE]"],
        [b"not JSON"],
        [b"[]"],
        [b"[DONE]"],
        [],
    ],
)
def test_a_stream_that_is_not_all_text_with_its_usage_is_not_made_plain(lines: list[bytes]) -> None:
    assert to_plain(CHAT, lines) is None


@given(st.binary(max_size=100))
def test_whatever_is_kept_raises_nothing(body: bytes) -> None:
    assert to_stream(CHAT, body, with_usage=True) is None
    assert to_plain(CHAT, [body]) is None


def test_the_other_form_is_the_one_that_has_all() -> None:
    with_usage = {"stream": True, "stream_options": {"include_usage": True}}
    assert other_form({"messages": []}) == with_usage
    assert form_of(with_usage) == stream_form(other_form({}) or {})
    assert other_form({"stream": True}) == {}
    assert other_form(with_usage) == {}
    assert other_form({"stream": True, "stream_options": {"continuous_usage_stats": True}}) is None
    assert other_form({"stream": True, "stream_interval": 5}) is None
    assert other_form({"stream": "yes"}) is None
    assert not may_convert(CHAT, {"tools": [{}]})
    assert not may_convert("/v1/messages", {})
    assert may_convert(COMPLETION, {})
