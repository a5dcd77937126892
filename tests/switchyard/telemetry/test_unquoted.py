"""Records and exceptions that hold a secret, as they are written."""

import logging
from typing import Any

import pytest

from switchyard.telemetry import unquoted

SECRET = "secret-of-a-client"


def record(message: object, *arguments: Any) -> logging.LogRecord:
    """A record that this module logs."""
    return logging.LogRecord("library", logging.INFO, __file__, 12, message, arguments, None)


@pytest.mark.parametrize(
    ("message", "arguments", "shown"),
    [
        ("static", (), "static"),
        ("took %.1f s of %s", (1.25, SECRET), "took 1.2 s of <str>"),
        ("%(one)s and %(two)d", ({"one": SECRET, "two": 2},), "<str> and 2"),
        ("%r failed: %s", ([SECRET], ValueError(SECRET)), "<list> failed: <ValueError>"),
        ("%d of them", (SECRET,), "%d of them"),  # wrong in the library
        (f"put together of {SECRET}"[:], (), "(str of test_unquoted:12)"),
        (ValueError(SECRET), (), "(ValueError of test_unquoted:12)"),
    ],
)
def test_a_message_is_written_without_what_it_quotes(message: object, arguments: tuple[Any, ...], shown: str) -> None:
    assert unquoted.message(record(message, *arguments)) == shown


def test_an_exception_and_its_causes_have_types_and_places_alone() -> None:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as err:
            raise ValueError(SECRET) from err
    except ValueError as err:
        text = unquoted.traceback(err)
    assert [line for line in text.splitlines() if not line.startswith(" ")] == [
        *("Traceback (most recent call last):", "KeyError"),
        *("Traceback (most recent call last):", "ValueError"),
    ]
    assert text.count(__file__) == 2
    assert SECRET not in text.replace("SECRET", "")


def test_a_chain_without_end_is_cut() -> None:
    error: Exception = ValueError("0")
    for number in range(100):
        following = ValueError(str(number))
        following.__cause__ = error
        error = following
    assert unquoted.traceback(error).count("ValueError") == 5
