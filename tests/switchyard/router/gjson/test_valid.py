"""JSON is what Go's validators take for it, which is more than orjson decodes."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.router.gjson import is_valid_json


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b' \t\n\r[1, 2.5e-3, "a", null, true, false]\n',
        b'"\\ud800"',
        b'"\\\\ud800"',
        b'"\xff\xfe"',
        b"1e999",
        b"-1E+999",
        b"[" + b"9" * 400 + b"]",
        b'"' + b"\\u0" + b"1" * 400 + b'"',
        b'"\\u0e123"',
        b'{"a":1,"a":2}',
        b"[" * 1000 + b"]" * 1000,
    ],
)
def test_json_is_valid(body: bytes) -> None:
    assert is_valid_json(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"[1,]",
        b'{"a":1,}',
        b"01",
        b"0" + b"1" * 400,
        b"1.",
        b".5",
        b"+1",
        b"1e",
        b"NaN",
        b"'a'",
        b'"\x1f"',
        *(b'"\\x"', b'"\\ud80"', b'"\xff', b"\xef\xbb\xbf{}", b"{} {}", b"nul", b'{"a" 1}', b"{1:2}", b"/**/1"),
    ],
)
def test_anything_else_is_not(body: bytes) -> None:
    assert not is_valid_json(body)


_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(value=_JSON)
def test_what_python_writes_is_valid(value: object) -> None:
    assert is_valid_json(json.dumps(value).encode())
