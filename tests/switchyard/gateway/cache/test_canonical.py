"""Requests are equal when nothing that changes the response differs: field by field of what vLLM takes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.cache.canonical import (
    CACHED,
    FORM,
    IRRELEVANT,
    PLAIN,
    POOLING,
    REPEATED,
    SAMPLING,
    STATEFUL,
    is_deterministic,
    why_not,
)
from switchyard.gateway.openapi.descriptions import DESCRIPTIONS
from tests.switchyard.gateway.cache.keys import SERVED, key, route

CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
ENGINES = json.loads((Path(__file__).parents[4] / "switchyard/gateway/openapi/engines.json").read_text())
VALUE, OTHER = "one value", "another value"
# OpenAI's, which vLLM drops unread: a client may send them all the same.
OF_OPENAI_ALONE = {"conversation", "prompt_cache_key", "safety_identifier", "service_tier"}


def fields() -> list[tuple[str, str]]:
    """Each route whose responses are cached, with each field of what it takes."""
    return [
        (path, field)
        for path in sorted(SAMPLING | POOLING)
        for schema in DESCRIPTIONS[path].requests
        for field in sorted(ENGINES[schema]["properties"])
    ]


def is_left_out(path: str, field: str) -> bool:
    return field in IRRELEVANT - (REPEATED if path == RESPONSES else set())


def check(path: str, field: str) -> None:
    """A field is in the key, in the form, or in the list of those that change nothing."""
    one, other, without = key(path, {field: VALUE}), key(path, {field: OTHER}), key(path, {"nothing": 1})
    if field in FORM:
        assert (one.content, other.content) == (key(path, {}).content,) * 2
        assert len({one.form, other.form, without.form}) == 3
    elif is_left_out(path, field):
        assert one == other == key(path, {})
    else:
        assert len({one.content, other.content, without.content}) == 3


@pytest.mark.parametrize(("path", "field"), fields())
def test_a_field_of_vllms_requests_is_in_the_key_or_in_the_list_of_those_that_change_nothing(
    path: str, field: str
) -> None:
    check(path, field)


def test_the_lists_name_fields_that_there_are() -> None:
    known = {field for _, field in fields()}
    assert IRRELEVANT | FORM | set(STATEFUL) <= known | OF_OPENAI_ALONE
    answered = set(ENGINES["ResponsesResponse"]["properties"])
    assert IRRELEVANT & answered - {"model"} <= REPEATED


@pytest.mark.live  # imports vLLM: 40 s
def test_every_field_of_vllms_own_models_is_judged() -> None:
    # All that a route takes, also the unions of which the interface's description shows the first.
    code = """
import json
from importlib import import_module
from typing import get_args
MODULES = {
    "/v1/chat/completions": ("openai.chat_completion", ("ChatCompletionRequest",)),
    "/v1/completions": ("openai.completion", ("CompletionRequest",)),
    "/v1/responses": ("openai.responses", ("ResponsesRequest",)),
    "/v1/messages": ("anthropic", ("AnthropicMessagesRequest",)),
    "/v1/embeddings": ("pooling.embed", ("EmbeddingRequest",)),
    "/pooling": ("pooling.pooling", ("PoolingRequest",)),
    "/v1/score": ("pooling.scoring", ("ScoreRequest",)),
    "/v1/rerank": ("pooling.scoring", ("RerankRequest",)),
}
def models(one):
    if hasattr(one, "model_fields"):
        yield one
    for inner in get_args(one):
        yield from models(inner)
found = {}
for path, (module, names) in MODULES.items():
    module = import_module(f"vllm.entrypoints.{module}.protocol")
    some = [model for name in names for model in models(getattr(module, name))]
    found[path] = sorted({field for model in some for field in model.model_fields})
print("\\n" + json.dumps(found))
"""
    environment = {**os.environ, "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    found: Mapping[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == SAMPLING | POOLING
    for path, names in found.items():
        assert names
        for field in names:
            check(path, field)


@pytest.mark.parametrize("option", sorted(ENGINES["StreamOptions"]["properties"]))
def test_each_option_of_a_stream_is_a_form_of_its_own(option: str) -> None:
    streamed, with_option = {"stream": True}, {"stream": True, "stream_options": {option: True}}
    assert len({key(CHAT, one).form for one in ({}, streamed, with_option)}) == 3
    assert len({key(CHAT, one).content for one in ({}, streamed, with_option)}) == 1


TEXT = st.text(st.characters(exclude_categories=["Cs", "Nd"]), max_size=9)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def shuffled(value: Any) -> Any:
    """The same JSON with the fields of each object in another order."""
    if isinstance(value, dict):
        return {name: shuffled(value[name]) for name in reversed(value)}
    return [shuffled(item) for item in value] if isinstance(value, list) else value


@given(st.dictionaries(st.text("abcdef", min_size=1, max_size=6), JSON, max_size=5))
def test_the_order_of_fields_and_the_spelling_of_strings_change_nothing(payload: dict[str, Any]) -> None:
    spelled = json.dumps(shuffled(payload), ensure_ascii=True, indent=1).encode()
    assert key(CHAT, payload) == key(CHAT, orjson.loads(spelled), spelled)


@given(JSON, JSON)
def test_different_values_are_different_requests(one: Any, other: Any) -> None:
    same = orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    assert (key(CHAT, {"x": one}) == key(CHAT, {"x": other})) is same


def test_numbers_that_no_float_tells_apart_are_different_requests() -> None:
    one, other = b'{"tools": [1%s0]}' % (b"0" * 20), b'{"tools": [1%s1]}' % (b"0" * 20)
    assert orjson.loads(one) == orjson.loads(other)
    assert key(CHAT, orjson.loads(one), one) != key(CHAT, orjson.loads(other), other)


def test_scope_model_revision_owner_route_and_version_are_in_the_key() -> None:
    keys = {
        key(CHAT, {}),
        key(CHAT, {}, scope="globex"),
        key("/v1/completions", {}),
        *(key(CHAT, {}, served=replace(SERVED, **{field: "other"})) for field in ("model", "revision", "owner")),
        key(CHAT, {}, params={"version": "2"}),
        key(CHAT, {}, query=b"a=1"),
    }
    assert len(keys) == 8


def test_of_an_image_the_bytes_and_the_headers_that_decide_on_the_response_are_in_the_key() -> None:
    keys = {
        key("/v1/ocr", None, b"image"),
        key("/v1/ocr", None, b"other"),
        key("/v1/ocr", None, b"image", fields={b"accept": b"text/plain"}),
        key("/v1/ocr", None, b"image", fields={b"content-type": b"image/png"}),
        key("/v1/ocr", None, b"image", fields={b"inference-header-content-length": b"4"}),
    }
    assert len(keys) == 5
    assert key("/v1/ocr", None, b"image", fields={b"user-agent": b"curl"}) in keys


@pytest.mark.parametrize(
    ("payload", "deterministic"),
    [
        ({"temperature": 0}, True),
        ({"temperature": 0.0, "n": 2}, True),
        ({"temperature": 0.1}, False),
        ({}, False),
        ({"seed": 7}, True),
        ({"seed": 7, "n": 1}, True),
        ({"seed": 7, "n": 2}, False),
        ({"seed": -1}, False),  # vLLM takes it for none
        ({"temperature": "0"}, False),
        ({"temperature": -1}, False),
    ],
)
def test_greedy_output_and_one_choice_with_a_seed_are_deterministic(
    payload: dict[str, Any], deterministic: bool
) -> None:
    assert is_deterministic(payload) is deterministic
    expected = None if deterministic else "sampled"
    assert why_not(route(CHAT), payload, json.dumps(payload).encode(), force=False) == expected
    assert why_not(route(CHAT), payload, json.dumps(payload).encode(), force=True) is None


@pytest.mark.parametrize(
    "payload",
    [
        {"previous_response_id": "resp_1"},
        {"background": True},
        {"store": True},
        {"conversation": {"id": "conv_1"}},
        {"kv_transfer_params": {"do_remote_decode": True}},
        {"tools": [{"type": "web_search"}]},
    ],
)
def test_what_depends_on_more_than_the_request_is_not_cached(payload: dict[str, Any]) -> None:
    body = json.dumps({"temperature": 0, **payload}).encode()
    assert why_not(route(RESPONSES), orjson.loads(body), body, force=True) == "stateful"


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}, "remote"),
        ({"type": "input_image", "image_url": "https://example.com/cat.png"}, "remote"),
        ({"type": "image", "source": {"type": "url", "url": "http://example.com/cat.png"}}, "remote"),
        ({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}, None),
        ({"type": "text", "text": '"url": "https://example.com"'}, None),
    ],
)
def test_an_image_behind_a_url_may_change_and_one_in_the_request_may_not(part: dict[str, Any], why: str | None) -> None:
    payload = {"temperature": 0, "messages": [{"role": "user", "content": [part]}]}
    assert why_not(route(CHAT), payload, json.dumps(payload).encode(), force=False) == why


def test_images_and_vectors_are_deterministic_unless_triton_keeps_state() -> None:
    assert why_not(route("/v1/embeddings"), {"input": "a"}, b"", force=False) is None
    infer = route("/v2/models/{model}/infer")
    assert why_not(infer, None, b"{}", force=False) is None
    assert why_not(infer, None, b'{"parameters":{"sequence_id":7}}', force=False) == "stateful"


def test_only_inference_is_cached() -> None:
    assert why_not(route("/tokenize"), {}, b"{}", force=True) == "route"
    assert why_not(route("/v2/repository/index"), None, b"", force=True) == "route"
    assert {path for path in CACHED if route(path).by != "model"} == set()
    assert key(CHAT, {}).form == PLAIN
