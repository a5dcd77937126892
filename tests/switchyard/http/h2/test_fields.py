import hpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.http.h2.fields import BlockCache, BlockDecoder, Field, literals
from switchyard.http.h2.frames import ProtocolError

NAMES = st.sampled_from((b"x-a", b"x-b", b":path", b"grpc-status", b"x-" + b"long" * 60))
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=6)


def decoder() -> BlockDecoder[list[Field]]:
    return BlockDecoder(BlockCache(list))


@given(FIELDS)
def test_what_is_written_without_a_table_is_read_by_any_reader(fields: list[Field]) -> None:
    read = hpack.Decoder().decode(literals(fields), raw=True)

    assert [(bytes(name), bytes(value)) for name, value in read] == fields


@given(st.lists(FIELDS, max_size=6), st.integers(0, 6))
def test_blocks_are_read_before_and_after_the_peer_gave_up_its_table(blocks: list[list[Field]], told: int) -> None:
    encoder, ours = hpack.Encoder(), decoder()
    for number, fields in enumerate([*blocks, *blocks]):
        if number == told:
            encoder.header_table_size = 0
            ours.acknowledged()
        assert ours.decode(encoder.encode(fields)) == fields


def test_a_block_is_understood_once_when_there_is_no_table() -> None:
    made: list[list[Field]] = []
    cache: BlockCache[list[Field]] = BlockCache(lambda fields: made.append(fields) or fields)  # type: ignore[func-returns-value]
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    ours = BlockDecoder(cache)
    ours.acknowledged()
    first = encoder.encode([(b"x-a", b"1")])
    again = encoder.encode([(b"x-a", b"1")])
    for block in (first, again, again, again):
        assert ours.decode(block) == [(b"x-a", b"1")]

    assert len(made) == 2


def test_a_peer_that_keeps_its_table_though_it_agreed_not_to_is_rejected() -> None:
    encoder, ours = hpack.Encoder(), decoder()
    ours.decode(encoder.encode([(b"x-a", b"1")]))
    ours.acknowledged()

    with pytest.raises(ProtocolError):
        ours.decode(encoder.encode([(b"x-a", b"1")]))


def test_a_block_that_needs_no_table_is_read_though_it_does_not_say_that_there_is_none() -> None:
    ours = decoder()
    ours.acknowledged()

    assert ours.decode(literals([(b"grpc-status", b"8")])) == [(b"grpc-status", b"8")]


def test_what_a_peer_is_told_of_its_block_holds_nothing_of_this_process() -> None:
    with pytest.raises(ProtocolError, match=r"^the header block cannot be decoded$"):
        decoder().decode(b"\xff" * 12)


def test_fields_that_grow_when_read_are_rejected() -> None:
    encoder = hpack.Encoder()
    block = encoder.encode([(b"x-a", b"v" * 4000)])
    bomb = block + block[-1:] + b"\xbe" * 60_000  # the first entry of the table, again and again

    with pytest.raises(ProtocolError):
        decoder().decode(bomb)
