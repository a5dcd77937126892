import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.local.plan import durations

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}

terms = st.tuples(st.integers(0, 10_000), st.sampled_from(sorted(UNITS)))


@given(st.lists(terms, min_size=1, max_size=6), st.sampled_from(["", "-", "+"]))
def test_a_duration_is_the_sum_of_its_terms(parts: list[tuple[int, str]], sign: str) -> None:
    text = sign + "".join(f"{number}{unit}" for number, unit in parts)
    expected = sum(number * UNITS[unit] for number, unit in parts) * (-1 if sign == "-" else 1)
    assert durations.parse(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0.0), ("-0", 0.0), ("1.5h", 5400.0), (".5s", 0.5), ("1.s", 1.0), ("1h30m", 5400.0)]
)
def test_what_go_accepts_is_accepted(text: str, seconds: float) -> None:
    assert durations.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "-", "60", "1d", ".s", "1m 30s", "s", "1e3s", "1s!", "--1s", "٣s"])
def test_what_go_rejects_is_rejected(text: str) -> None:
    with pytest.raises(durations.DurationError, match="with a unit"):
        durations.parse(text)


@given(st.text(max_size=12))
def test_any_text_is_a_duration_or_a_duration_error(text: str) -> None:
    with contextlib.suppress(durations.DurationError):
        assert isinstance(durations.parse(text), float)
