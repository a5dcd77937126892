"""Conditions hold by the body's text, whichever way they are tested."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from switchyard.router.gjson import Body, compile, get, is_valid_json
from tests.live.router.paths import bodies, paths

CHAT = b'{"messages":[{"role":"user","content":"hi"}],"model":"chat-fast","stream":true,"n":2}'


@pytest.mark.parametrize(
    ("path", "holds"),
    [
        ('[@this].#(model=="chat-fast")', True),
        ('[@this].#(model=="chat")', False),
        ('[@this].#(model!="chat")', True),
        ('[@this].#(model%"chat-*")', True),
        ('[@this].#(model!%"chat-*")', False),
        ("[@this].#(model)", True),
        ("[@this].#(n>1)", True),
        ("[@this].#(n>2)", False),
        ("[@this].#(stream==true)", True),
        ("[@this].#(stream==false)", False),
        ("[@this].#(messages==1)", False),
        ("model", True),
        ("tools", False),
        ("@this.model", True),
        ("messages.0.role", True),
        ('messages.#(role=="user")', True),
        ('messages.#(role=="system")', False),
        ('messages.#(role=="system")#', True),
    ],
)
def test_the_usual_conditions_hold_or_not(path: str, holds: bool) -> None:
    assert compile(path).holds(CHAT) is holds


@pytest.mark.parametrize("body", [b"", b"model", b'{"model":"x"', b"\xff", b'{"model":"x"}}'])
def test_nothing_holds_on_what_is_no_json(body: bytes) -> None:
    assert not compile("model").holds(body)
    assert not compile("@this").holds(body)


def test_the_first_of_two_keys_counts() -> None:
    fast = compile('[@this].#(model=="fast")')
    assert fast.holds(b'{"model":"fast","model":"slow"}')
    assert not fast.holds(b'{"model":"slow","model":"fast"}')
    assert not fast.holds(b'{"\\u006dodel":"slow","model":"fast"}')


def test_a_key_elsewhere_in_the_body_changes_nothing() -> None:
    tool = {"function": {"parameters": {"properties": {"model": {"type": "string"}}}}}
    body = json.dumps({"tools": [tool], "model": "fast", "messages": [{"content": 'a "model" é'}]}).encode()
    assert compile('[@this].#(model=="fast")').holds(body)
    assert not compile('[@this].#(model=="slow")').holds(body)


def test_a_string_with_an_object_in_it_is_searched_as_in_go() -> None:
    # Go's gjson looks for the first bracket in the text, whatever stands around it.
    body = b'"{\\"a\\":1, "'
    assert compile("*").holds(body) == get(body.decode(), "*").exists


def test_one_decoded_body_serves_several_conditions() -> None:
    body = Body(CHAT)
    assert [compile(path).holds(body) for path in ("tools", "model", "n.#")] == [False, True, False]


def test_a_body_that_is_too_deep_for_a_modifier_holds_nothing() -> None:
    assert not compile("@pretty").holds(b"[" * 900 + b"]" * 900)


@settings(max_examples=3 * settings().max_examples)
@given(path=paths(), body=bodies())
@example(path='messages.#(role=="a")', body=b'{"messages":{"#(role==\\"a\\")":1}}')
def test_looking_keys_up_gives_what_the_text_gives(path: str, body: bytes) -> None:
    by_text = is_valid_json(body) and get(body.decode("latin-1"), path.encode().decode("latin-1")).exists
    assert compile(path).holds(body) == by_text


@given(body=st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
def test_no_bytes_break_a_condition(body: bytes) -> None:
    for path in ("model", "#.a", '[@this].#(a%"*b*")', "@pretty|@tostr", "..#"):
        compile(path).holds(body)


@pytest.mark.parametrize("odd", [b'"\\ud800"', b"1e999", b"1" * 400], ids=["half a pair", "exponent", "digits"])
def test_what_only_go_takes_for_json_is_none_in_a_body_of_megabytes(odd: bytes) -> None:
    condition = compile("a")
    assert condition.holds(b'{"a":1,"b":' + odd + b"}")
    assert not condition.holds(b'{"a":1,"b":' + odd + b',"c":"' + b"x" * 2_000_000 + b'"}')
    assert condition.holds(b'{"a":1,"c":"' + b"x" * 2_000_000 + b'"}')
