"""How settings are read, whoever reads them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, make_dataclass

import pytest

from switchyard.settings import (
    SettingsError,
    choice,
    number,
    renamed,
    seconds,
    switch,
    warn_of_misspelled,
    whole_number,
)

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


@dataclass(frozen=True)
class Some:
    """As a process's settings are: read by the names of its fields, in capitals."""

    log_requests: bool = False
    metrics_port: int = 0
    tls_cert_file: str = ""
    body_seconds: float = 0.0
    host: str = ""
    switchyard_store: str = ""


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LOG_REQEUSTS", "LOG_REQUESTS"),
        ("LOG_REQUEST", "LOG_REQUESTS"),
        ("LOG_REQUESTSS", "LOG_REQUESTS"),
        ("LGO_REQEUSTS", "LOG_REQUESTS"),
        ("KOG_REQUESTS", "LOG_REQUESTS"),
        ("BODY_SECOND", "BODY_SECONDS"),
        ("METRIC_PORT", "METRICS_PORT"),
        ("SWITCHYARD_STOER", "SWITCHYARD_STORE"),
    ],
)
def test_a_misspelled_setting_is_told_with_what_is_meant(
    caplog: pytest.LogCaptureFixture, name: str, meant: str
) -> None:
    warn_of_misspelled({name: "9", "LOG_REQUESTS": "true"}, Some)
    (record,) = caplog.records
    assert record.getMessage() == f"{name} is no setting; did you mean {meant}?; see docs/reference"


def test_names_of_ours_that_nothing_reads_are_told_by_whom_they_are_for(caplog: pytest.LogCaptureFixture) -> None:
    others = dict.fromkeys(("SWITCHYARD_KEY", "SWITCHYARD_RUN", "SWITCHYARD_MODEL_KEYS"), "x")
    env = {"SWITCHYARD_ODD": "1", **others, "BODY_SECODNS": "1"}
    warn_of_misspelled(env, Some)
    said = "BODY_SECODNS is no setting; did you mean BODY_SECONDS?; SWITCHYARD_ODD is no setting; see docs/reference"
    assert [record.getMessage() for record in caplog.records] == [said]
    caplog.clear()
    warn_of_misspelled({"SWITCHYARD_STORE": "1", "SWITCHYARD_ODD": "1"}, int_settings())
    assert caplog.records == []


def int_settings() -> type:
    """Those of a process that reads no name of ours, and so knows none."""
    return make_dataclass("Other", [("max_waiting_requests", int, 0)])


@pytest.mark.parametrize(
    "env",
    [
        {"SSL_CERT_FILE": "/etc/ssl/cert.pem", "SSL_CERT_DIR": "/etc/ssl"},
        {"HOSTS": "x", "HOME": "/", "POST": "x", "PATH": "/bin", "LOGNAME": "me", "LOG_FORMAT": "json"},
        {"METRIC_PORT": "tcp://10.1.2.3:80", "METRIC_PORT_80_TCP": "tcp://10.1.2.3:80"},
        {"SWITCHYARD_SERVICE_HOST": "10.1.2.3", "SWITCHYARD_SERVICE_PORT": "80", "SWITCHYARD_SERVICE_PORT_HTTP": "80"},
        {"SWITCHYARD_PORT": "tcp://10.1.2.3:80", "SWITCHYARD_PORT_80_TCP_ADDR": "10.1.2.3"},
        {"SWITCHYARD_GATEWAY_PORT": "tcp://10.1.2.3:80"},
        {"K_SERVICE": "x", "K_REVISION": "x", "KUBERNETES_PORT_443_TCP_PROTO": "tcp", "OTEL_SERVICE_NAME": "x"},
    ],
)
def test_variables_of_others_are_not_taken_for_ours(caplog: pytest.LogCaptureFixture, env: dict[str, str]) -> None:
    warn_of_misspelled(env, Some)
    assert caplog.records == []
