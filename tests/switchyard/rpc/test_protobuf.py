"""The wire format reader and writer against what it writes itself and against broken bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.rpc.protobuf import MessagesGuard, TextGuard, read_text, write


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


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


def guarded(message: bytes, cuts: list[int], value: str = "ocr") -> str:
    """What a guard of field 1 says of a message that comes in chunks."""
    guard, sent, at = TextGuard(1, value), framed(message), 0
    try:
        for cut in sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)}):
            guard.feed(sent[at:cut])
            at = cut
    except ValueError as err:
        return str(err)
    return ""


FIELDS = st.one_of(
    st.sampled_from([write(1, "ocr"), write(1, "other"), write(1, "yes"), write(1, b"")]),
    st.builds(write, st.integers(2, 2000), st.one_of(st.booleans(), st.text(), st.binary(max_size=300))),
    st.sampled_from([b"\x19" + bytes(8), b"\x25" + bytes(4), b"\x08\x05"]),
)


@given(st.lists(FIELDS, max_size=8), st.lists(st.integers(0, 800), max_size=12))
def test_a_guard_objects_wherever_a_message_is_cut_to_what_a_reader_of_all_of_it_objects_to(
    fields: list[bytes], cuts: list[int]
) -> None:
    message = write(1, "ocr") + b"".join(fields)
    try:
        agrees = read_text(message, 1) == "ocr"
    except ValueError:
        agrees = False
    assert (guarded(message, cuts) == "") is agrees


@given(st.binary(max_size=64), st.lists(st.integers(0, 70), max_size=5))
def test_a_guard_of_broken_bytes_raises_a_value_error_at_worst(data: bytes, cuts: list[int]) -> None:
    guarded(write(1, "ocr") + data, cuts)


def test_a_guard_keeps_nothing_of_what_passes() -> None:
    guard = TextGuard(1, "ocr")
    guard.feed(framed(write(1, "ocr") + write(7, bytes(1_000_000)))[:100])
    guard.feed(bytes(900_000))
    assert len(guard._rest) < 30


def test_a_guard_of_fields_without_end_gives_up() -> None:
    assert guarded(write(1, "ocr") + b"\x10\x01" * 10_001, []) == "more than 10000 fields in a message"


def test_a_number_that_a_parser_of_32_bits_takes_for_another_is_rejected() -> None:
    longer = b"\x8a\x80\x80\x80\x10"  # 2**32 + the tag of field 1; Triton's parser reads the last 32 bits
    message = write(1, "ocr") + longer + b"\x05other"
    with pytest.raises(ValueError, match="29 bits"):
        read_text(message, 1)
    assert "29 bits" in guarded(message, [])


def test_a_field_that_comes_after_the_last_one_is_rejected() -> None:
    guard = TextGuard(1, "ocr", last=7)
    guard.feed(framed(write(1, "ocr") + write(5, b"x") + write(7, b"y") * 2 + write(9, b"z")))
    with pytest.raises(ValueError, match="order"):
        guard.feed(write(5, b"x"))


@given(
    st.lists(st.sampled_from(["ocr", "other", ""]), min_size=1, max_size=6), st.lists(st.integers(0, 120), max_size=9)
)
def test_a_guard_of_a_stream_objects_to_a_message_that_names_another_wherever_it_is_cut(
    names: list[str], cuts: list[int]
) -> None:
    sent = b"".join(framed(write(1, name) + write(7, b"\x0a\x05other")) for name in names)
    guard, at, objection = MessagesGuard(1, "ocr"), 0, ""
    try:
        for cut in sorted({min(cut, len(sent)) for cut in cuts} | {len(sent)}):
            guard.feed(sent[at:cut])
            at = cut
    except ValueError as err:
        objection = str(err)
    assert ("opened for ocr" in objection) is ("other" in names)  # one without a name is the server's to reject


def test_a_guard_of_a_stream_lets_no_compressed_message_pass() -> None:
    guard = MessagesGuard(1, "ocr")
    guard.feed(framed(write(1, "ocr")) + framed(b""))
    with pytest.raises(ValueError, match="uncompressed"):
        guard.feed(b"\x01" + bytes(4))
