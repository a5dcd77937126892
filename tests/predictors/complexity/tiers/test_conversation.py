from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.complexity.tiers.conversation import MalformedBodyError, read

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"messages": [user("a")]}, ("a",)),
        ({"messages": [user([{"type": "text", "text": "a"}, IMAGE, {"type": "text", "text": "b"}])]}, ("a\nb",)),
        ({"input": "a"}, ("a",)),
        ({"input": [user([{"type": "input_text", "text": "a"}])]}, ("a",)),
        ({"prompt": "a"}, ("a",)),
        ({"prompt": ["a", "b"]}, ("a", "b")),
        ({"messages": [user("a"), {"role": "assistant", "content": "x"}, user("b")]}, ("a", "b")),
    ],
)
def test_each_form_gives_the_users_texts(body: dict[str, Any], texts: tuple[str, ...]) -> None:
    found = read(body)

    assert found.user == texts
    assert found.readable


@pytest.mark.parametrize(
    "body",
    [
        {"system": "s", "messages": [user("a")]},
        {"system": [{"type": "text", "text": "s"}], "messages": [user("a")]},
        {"messages": [{"role": "system", "content": "s"}, user("a")]},
        {"messages": [{"role": "developer", "content": "s"}, user("a")]},
        {"instructions": "s", "input": "a"},
    ],
)
def test_instructions_are_found_wherever_a_form_has_them(body: dict[str, Any]) -> None:
    found = read(body)

    assert (found.system, found.user, found.characters) == ("s", ("a",), 2)


@pytest.mark.parametrize(
    "last",
    [
        {"role": "tool", "tool_call_id": "1", "content": "42"},
        {"type": "function_call_output", "call_id": "1", "output": "42"},
        user([{"type": "tool_result", "tool_use_id": "1", "content": "42"}]),
    ],
)
@pytest.mark.parametrize("name", ["messages", "input"])
def test_a_turn_that_brings_results_of_tools_is_known_in_every_form(name: str, last: dict[str, Any]) -> None:
    assert read({name: [user("a"), {"role": "assistant", "content": ""}, last]}).tool_result
    assert not read({name: [user("a"), last, user("b")]}).tool_result


def test_tools_calls_and_results_count_as_context() -> None:
    call = {"function": {"name": "add", "arguments": "x" * 100}}
    body = {
        "tools": [{"function": {"name": "add", "description": "y" * 1000}}],
        "messages": [user("a"), {"role": "assistant", "content": None, "tool_calls": [call]}],
    }

    assert read(body).characters > 1100


@pytest.mark.parametrize(("prompt", "tokens"), [([1, 2, 3], 3), ([[1, 2], [3]], 3)])
def test_a_prompt_of_tokens_is_counted_but_not_read(prompt: Any, tokens: int) -> None:
    found = read({"prompt": prompt})

    assert (found.tokens, found.readable) == (tokens, False)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "no `messages`, `input` or `prompt`"),
        ({"messages": []}, "`messages` must be a list of at least one"),
        ({"messages": "a"}, "`messages` must be a list"),
        ({"messages": ["a"]}, "each an object"),
        ({"input": 3}, "`input` must be a list"),
        ({"prompt": {}}, "`prompt` is neither"),
        ({"prompt": []}, "`prompt` is neither"),
        ({"prompt": ["a", 1]}, "`prompt` is neither"),
    ],
)
def test_what_is_none_of_the_forms_is_reported(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MalformedBodyError, match=sentence):
        read(body)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
NAMES = st.sampled_from(["messages", "input", "prompt", "system", "tools", "instructions", "role", "content", "type"])
MESSAGE = st.dictionaries(NAMES | st.sampled_from(["text", "output", "tool_calls"]), ANYTHING, max_size=5)


@given(st.dictionaries(NAMES, ANYTHING | st.lists(MESSAGE, max_size=4), max_size=4))
def test_any_object_is_read_or_rejected_but_never_breaks_the_reader(body: dict[str, Any]) -> None:
    try:
        found = read(body)
    except MalformedBodyError:
        return
    assert found.characters >= sum(map(len, found.user))
