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


def test_a_name_that_could_be_read_as_two_is_rejected() -> None:
    twice = write(1, "mine") + write(2, "x") + write(1, "yours")
    with pytest.raises(ValueError, match="occurs twice"):
        read_text(twice, 1)
    assert read_text(write(1, "mine") * 2, 1) == "mine"


def test_of_a_message_that_is_cut_off_what_is_whole_is_read() -> None:
    message = write(1, "ocr") + write(7, bytes(300))
    for end in range(5, len(message)):
        assert read_text(message[:end], 1, cut_off=True) == "ocr"
        if end > 5:
            with pytest.raises(ValueError, match="ends within"):
                read_text(message[:end], 1)
    with pytest.raises(ValueError, match="runs past"):
        read_text(message[:4], 1, cut_off=True)


def test_fields_without_end_are_not_read_to_their_end() -> None:
    with pytest.raises(ValueError, match="more than 10000 fields"):
        read_text(b"\x10\x01" * 10_001 + write(1, "ocr"), 1)
