import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.rpc import timeouts


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"1H", 3600),
        (b"2M", 120),
        (b"3S", 3),
        (b"4m", 0.004),
        (b"5u", 0.000005),
        (b"6n", 6e-9),
        (b"99999999S", 99999999),
    ],
)
def test_each_unit_is_read(value: bytes, seconds: float) -> None:
    assert timeouts.parse(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"S", b"1", b"1s", b"-1S", b"1.5S", b"123456789S", b"1S ", "１S".encode()])
def test_what_is_no_timeout_is_rejected(value: bytes) -> None:
    with pytest.raises(ValueError, match="grpc-timeout"):
        timeouts.parse(value)


@given(st.floats(min_value=-1, max_value=1e9))
def test_what_is_written_is_read_as_nearly_the_same_and_never_as_more(seconds: float) -> None:
    found = timeouts.parse(timeouts.encode(seconds))
    assert found <= max(seconds, 1e-6) * (1 + 1e-9)
    assert found >= min(seconds, 99999999) * 0.9999 - 1e-6
