"""W3C's headers: which are believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.telemetry.trace_context import (
    for_recorder,
    is_sampled,
    trace_id_of,
    valid_traceparent,
    valid_tracestate,
)
from tests.recorded_spans import PARENT, UNSAMPLED

TRACE, SPAN = PARENT.split("-")[1:3]


@pytest.mark.parametrize(
    "value", [PARENT, UNSAMPLED, f"00-{TRACE}-{SPAN}-ff", f"cc-{TRACE}-{SPAN}-01-what-comes-later"]
)
def test_what_the_standard_takes_is_taken(value: str) -> None:
    assert valid_traceparent(value) == value
    assert trace_id_of(value) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01 ",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 5000}",
    ],
)
def test_any_other_text_is_ignored(value: str) -> None:
    assert valid_traceparent(value) is None


@given(st.text())
def test_no_text_raises(value: str) -> None:
    assert valid_traceparent(value) is None


def test_only_a_sampled_one_is_for_what_records_each() -> None:
    assert is_sampled(PARENT)
    assert not is_sampled(UNSAMPLED)
    assert [for_recorder(value) for value in (PARENT, UNSAMPLED, None)] == [PARENT, None, None]


@pytest.mark.parametrize(
    "value", [b"a=1", b"vendor@system=x/y z, b=2", b"a=1,,b=2", b",".join(b"k%d=v" % n for n in range(32))]
)
def test_a_tracestate_of_the_standard_passes(value: bytes) -> None:
    assert valid_tracestate(value) == value


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b",",
        b"a",
        b"A=1",
        b"a=\xff",
        b"a=b=c",
        b"a=" + b"x" * 257,
        b"a=1," + b"b=" + b"x" * 512,
        b",".join(b"k%d=v" % n for n in range(33)),
    ],
)
def test_any_other_tracestate_does_not(value: bytes | None) -> None:
    assert valid_tracestate(value) is None


@given(st.binary())
def test_no_bytes_raise(value: bytes) -> None:
    assert valid_tracestate(value) in (None, value)
