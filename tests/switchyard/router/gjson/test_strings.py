"""Numbers, truth values and strings are read and written as Go does it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.router.gjson import strings


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("12", 12.0),
        ("-0.5e1", -5.0),
        ("1_000", 1000.0),
        (".5", 0.5),
        ("0x10p0", 16.0),
        ("0x1p2000", math.inf),
        ("1e999", math.inf),
        ("-Inf", -math.inf),
        ("infinity", math.inf),
        ("", 0.0),
        ("1__0", 0.0),
        (" 1", 0.0),
        ("0x10", 0.0),
        ("+nan", 0.0),
        ("chat", 0.0),
    ],
)
def test_floats_are_read_as_in_go(text: str, number: float) -> None:
    assert strings.to_float(text) == number


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *(
            (0.0, "0"),
            (-0.0, "-0"),
            (1000.0, "1000"),
            (1e22, "1" + "0" * 22),
            (1.5e-7, "0.00000015"),
            (123.456, "123.456"),
        ),
        *((math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf"), (1.25e21, "1250000000000000000000")),
    ],
)
def test_floats_are_written_without_exponents(number: float, text: str) -> None:
    assert strings.from_float(number) == text


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_written_floats_read_back_as_themselves(number: float) -> None:
    assert float(strings.from_float(number)) == number


@pytest.mark.parametrize(
    ("text", "index"), [("0", 0), ("01", 1), ("", None), ("-1", None), (str(2**64 + 3), 3), (str(2**63), -(2**63))]
)
def test_indexes_wrap_at_64_bits(text: str, index: int | None) -> None:
    assert strings.to_index(text) == index


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        ('a\\"b\\\\\\/\\b\\f\\n\\r\\t', 'a"b\\/\b\f\n\r\t'),
        ("\\u0041\\u00e9", "A\xc3\xa9"),
        ("\\ud83d\\ude00", "\xf0\x9f\x98\x80"),
        ("\\ud800x", "\xef\xbf\xbdx"),
        ("\\udc00\\ud800x", "\xef\xbf\xbdx"),
        ("a\\x", "a"),
        ("a\\u12", "a"),
        ("a\x01b", "a"),
        ("a\\", "a"),
    ],
)
def test_escapes_say_what_they_say_in_go(raw: str, said: str) -> None:
    assert strings.unescape(raw) == said


def test_quoting_escapes_what_html_minds_and_what_is_no_utf8() -> None:
    assert strings.quote('<a&b>"\\\n\x01é\xff'.encode("latin-1").decode("latin-1")) == (
        '"\\u003ca\\u0026b\\u003e\\"\\\\\\n\\u0001\\ufffd\\ufffd"'
    )
    assert strings.quote("é\u2028".encode().decode("latin-1")) == '"\xc3\xa9\\u2028"'


@given(text=st.text())
def test_a_quoted_string_says_what_was_quoted(text: str) -> None:
    held = (
        text.encode(errors="surrogatepass").decode("latin-1")
        if text.isascii()
        else text.encode(errors="replace").decode("latin-1")
    )
    assert strings.unescape(strings.quote(held)[1:-1]) == held


@given(raw=st.text(alphabet='ab"\\/u0d8DEfnr\x01\x7f\xc3\xa9\xed\xa0\x80'))
def test_both_ways_to_read_escapes_agree(raw: str) -> None:
    assert strings.unescape(raw) == strings._unescape_invalid(raw)
