"""Wildcards fit as in github.com/tidwall/match."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.router.gjson.match import matches


@pytest.mark.parametrize(
    ("text", "pattern", "fits"),
    [
        ("", "", True),
        ("a", "", False),
        ("", "*", True),
        ("", "?", False),
        ("chat-fast", "chat-*", True),
        ("chat-fast", "*fast", True),
        ("chat-fast", "c*-*t", True),
        ("chat-fast", "chat-????", True),
        ("chat-fast", "chat-???", False),
        ("aXbXc", "a*b*c", True),
        ("aXbX", "a*b*c", False),
        ("aaa", "a*a*a*a", False),
        ("a*b", "a\\*b", True),
        ("axb", "a\\*b", False),
        ("ab\\", "a*\\", True),
        ("a\\", "a\\", False),
        ("é".encode().decode("latin-1"), "?", True),
        ("\xff\xfe", "??", True),
        ("\xff", "\xfe", True),
    ],
)
def test_a_pattern_fits_or_not(text: str, pattern: str, fits: bool) -> None:
    assert matches(text, pattern) is fits


@given(text=st.text(alphabet="ab", max_size=12), pattern=st.text(alphabet="ab*?", max_size=8))
def test_stars_and_question_marks_mean_what_they_mean_in_regular_expressions(text: str, pattern: str) -> None:
    translated = pattern.replace("*", ".*").replace("?", ".")
    assert matches(text, pattern) is (re.fullmatch(translated, text) is not None)


def test_many_stars_on_a_long_text_are_quick() -> None:
    assert not matches("a" * 100_000, "*a*a*a*a*a*a*b")
