"""How settings are read, whoever reads them."""

from collections.abc import Callable, Mapping

import pytest

from switchyard.settings import SettingsError, choice, number, renamed, seconds, switch, whole_number

Read = Callable[[Mapping[str, str]], object]

READERS: dict[str, tuple[Read, object]] = {
    "whole number": (lambda env: whole_number(env, "X", 7, least=1, most=9), 7),
    "open whole number": (lambda env: whole_number(env, "X", None, least=1), None),
    "number": (lambda env: number(env, "X", 0.5, most=1.0), 0.5),
    "seconds": (lambda env: seconds(env, "X", 5.0), 5.0),
    "switch": (lambda env: switch(env, "X", True), True),
    "choice": (lambda env: choice(env, "X", "a", ("a", "b")), "a"),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("env", [{}, {"X": ""}], ids=["unset", "empty"])
def test_unset_and_empty_mean_the_default(reader: str, env: dict[str, str]) -> None:
    read, default = READERS[reader]
    assert read(env) == default


@pytest.mark.parametrize(
    ("reader", "text", "value"),
    [
        ("whole number", "9", 9),
        ("open whole number", "1", 1),
        ("number", "1", 1.0),
        ("number", "0", 0.0),
        ("seconds", "0.001", 0.001),
        ("seconds", "1e3", 1000.0),
        ("switch", "False", False),
        ("switch", "true", True),
        ("choice", "B", "b"),
    ],
)
def test_a_value_within_its_bounds_is_read(reader: str, text: str, value: object) -> None:
    assert READERS[reader][0]({"X": text}) == value


@pytest.mark.parametrize(
    ("reader", "text", "allowed"),
    [
        *(("whole number", text, "a whole number from 1 to 9") for text in ("0", "10", "-1", "1.0", "x", " 1", "1e0")),
        *(("open whole number", text, "a whole number of at least 1") for text in ("0", "one")),
        *(("number", text, "a number from 0 to 1") for text in ("-0.1", "1.1", "nan", "inf", "half")),
        *(("seconds", text, "a number of seconds of at least 0.001") for text in ("0", "-1", "inf", "nan", "soon")),
        *(("switch", text, "true or false") for text in ("yes", "1", "0")),
        ("choice", "c", "a or b"),
    ],
)
def test_an_error_names_the_variable_its_value_and_what_is_allowed(reader: str, text: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as failure:
        READERS[reader][0]({"X": text})
    assert str(failure.value) == f"X is {text!r}; use {allowed}"


def test_a_setting_under_its_old_name_is_read_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert renamed({"NEW": "1"}, "OLD", "NEW") == "NEW"
    assert not caplog.records
    assert renamed({"NEW": "0", "OLD": "5"}, "OLD", "NEW") == "OLD"
    assert "OLD is now called NEW" in caplog.text
