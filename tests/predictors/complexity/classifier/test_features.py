import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictors.complexity.classifier.features import NAMES, surface
from predictors.complexity.classifier.tokens import MAX_CHARACTERS, Text


def feature(name: str, prompt: str) -> float:
    return float(surface(Text.of(prompt))[NAMES.index(name)])


@given(st.lists(st.text(max_size=200), min_size=1, max_size=4))
def test_any_text_has_finite_features(turns: list[str]) -> None:
    assert np.isfinite(surface(Text.of(*turns))).all()


@pytest.mark.parametrize(
    ("name", "less", "more"),
    [
        ("characters", "Hello", "Hello there, how are you today?"),
        ("numbers", "3 pens", "3 pens, 4 books and 5 lamps"),
        ("different numbers", "3 3 3", "3 4 5"),
        ("longest number", "12", "123456"),
        ("number words", "a pen", "twenty two pens"),
        ("signs of arithmetic", "3 and 4", "3 + 4 = 7"),
        ("options", "Which?", "Which?\nA. one\nB. two\nC. three"),
        ("share of numeric options", "Which?\nA. one\nB. two", "Which?\nA. 12\nB. 2.5 m"),
        ("numbered statements", "It is so.", "Statement 1 | It is so."),
        ("share of capitals", "hello", "HELLO"),
        ("share beyond ASCII", "hello", "héllö"),
        ("code", "hello", "def f(x): return x"),
        ("changes", "Ana has pens.", "Ana buys pens, gives away half and loses three."),
    ],
)
def test_a_feature_counts_what_its_name_says(name: str, less: str, more: str) -> None:
    assert feature(name, less) < feature(name, more)


def test_of_a_long_conversation_its_beginning_and_its_last_turn_are_read() -> None:
    text = Text.of("begin " * 2000, "end of it")

    assert text.whole.startswith("begin")
    assert text.whole.endswith("\nend of it")
    assert len(text.whole) == MAX_CHARACTERS + len("\nend of it")
    assert Text.of("x" * 10_000).whole == "x" * MAX_CHARACTERS


def test_a_short_conversation_is_read_once() -> None:
    assert Text.of("one", "two").whole == "one\ntwo"
