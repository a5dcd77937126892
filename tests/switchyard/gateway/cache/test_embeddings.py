"""A request for many embeddings is taken apart, and its response put together, without a number changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.cache.embeddings import Item, inputs_of, merged, name_of, split, with_inputs

VECTOR = st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=4)


def response(vectors: list[Any], tokens: int) -> bytes:
    data = [{"index": at, "object": "embedding", "embedding": one} for at, one in enumerate(vectors)]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens, "completion_tokens": 0}
    return json.dumps(
        {"id": "embd-1", "object": "list", "created": 1, "model": "embed", "data": data, "usage": usage}
    ).encode()


@given(st.lists(st.tuples(st.text(max_size=5), VECTOR), min_size=1, max_size=6), st.integers(0, 10_000))
def test_what_is_split_and_merged_is_what_the_model_said(pairs: list[tuple[str, list[float]]], tokens: int) -> None:
    inputs, vectors = [text for text, _ in pairs], [vector for _, vector in pairs]
    items = split(response(vectors, tokens), inputs)
    assert items is not None
    kept = [Item.loads(item.dumps()) for item in items]
    assert kept == list(items)
    back = json.loads(merged(items, "r1", 7))
    assert [one["embedding"] for one in back["data"]] == vectors
    assert [one["index"] for one in back["data"]] == list(range(len(pairs)))
    assert back["usage"]["prompt_tokens"] == back["usage"]["total_tokens"] == tokens
    assert (back["object"], back["model"], back["created"]) == ("list", "embed", 7)
    assert all(item.tokens >= 0 for item in items)


def test_base64_stays_as_it_is() -> None:
    items = split(response(["AAAAPw==", "AACAPw=="], 4), ["a", "b"])
    assert items is not None
    assert [one["embedding"] for one in json.loads(merged(items, "r", 0))["data"]] == ["AAAAPw==", "AACAPw=="]


@pytest.mark.parametrize(
    ("payload", "inputs"),
    [
        ({"input": "a"}, ["a"]),
        ({"input": ["a", "b"]}, ["a", "b"]),
        ({"input": [1, 2]}, [[1, 2]]),
        ({"input": [[1, 2], [3]]}, [[1, 2], [3]]),
        ({"input": []}, None),
        ({"input": [[]]}, None),
        ({"input": ["a", 1]}, None),
        ({"input": [{"role": "user", "content": "a"}]}, None),
        ({"messages": []}, None),
        ({"input": "a", "encoding_format": "bytes"}, None),
        ({"input": "a", "encoding_format": "base64"}, ["a"]),
        ({"input": ["a"] * 513}, None),
        ({}, None),
    ],
)
def test_texts_and_lists_of_tokens_are_items(payload: dict[str, Any], inputs: list[Any] | None) -> None:
    assert inputs_of(payload) == inputs


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"[]",
        b'{"data": [], "usage": {"prompt_tokens": 1}, "model": "m"}',
        response([[1.0], [2.0]], 3),
        response([[1.0]], 3).replace(b'"index": 0', b'"index": 1'),
        response([[1.0]], 3).replace(b'"prompt_tokens": 3', b'"prompt_tokens": null'),
    ],
)
def test_another_response_than_openais_is_not_taken_apart(body: bytes) -> None:
    assert split(body, ["a"]) is None


def test_a_name_is_of_the_request_and_the_item() -> None:
    assert len({name_of("k", "a"), name_of("k", "b"), name_of("l", "a"), name_of("k", [1]), name_of("k", "[1]")}) == 5
    assert json.loads(with_inputs({"model": "m", "input": ["a", "b"], "user": "u"}, ["b"])) == {
        "model": "m",
        "input": ["b"],
        "user": "u",
    }


@given(st.binary(max_size=60))
def test_whatever_is_kept_is_an_item_or_none(data: bytes) -> None:
    assert Item.loads(data) is None or isinstance(Item.loads(data), Item)
