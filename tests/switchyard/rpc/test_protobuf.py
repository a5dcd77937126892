"""The wire format reader and writer against what it writes itself and against broken bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.rpc.protobuf import read_text, write


@given(st.text(), st.text(), st.integers(1, 2000))
def test_what_is_written_is_read(first: str, second: str, number: int) -> None:
    message = write(number, first) + write(number + 1, second) + write(number + 2, True)
    assert read_text(message, number + 1) == second


@given(st.binary(max_size=64), st.integers(1, 20))
def test_broken_bytes_are_a_value_error_at_worst(data: bytes, number: int) -> None:
    try:
        read_text(data, number)
    except ValueError:
        return


def test_fields_of_every_other_type_are_skipped() -> None:
    other = b"\x10\x96\x01" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    assert read_text(other + write(1, "ocr"), 1) == "ocr"
    assert read_text(other, 1) == ""
    with pytest.raises(ValueError, match="ends within"):
        read_text(b"\x10", 1)
