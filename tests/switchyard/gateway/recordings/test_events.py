"""Streams are cut into events wherever the network cut them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.gateway.recordings.events import EventBlocks, is_comment, numbered


@given(
    st.lists(st.sampled_from([b"data: 1\n\n", b": wait\n\n", b"id: 3\r\ndata: 2\r\n\r\n", b"event: a\ndata: b\n\n"])),
    st.lists(st.integers(0, 60)),
    st.sampled_from([b"", b"data: cut", b"data: cut\n"]),
)
def test_blocks_are_the_same_however_they_come(blocks: list[bytes], cuts: list[int], rest: bytes) -> None:
    text, one, found, at = b"".join(blocks) + rest, EventBlocks(), list[bytes](), 0
    for cut in sorted({min(cut, len(text)) for cut in cuts} | {len(text)}):
        found += one.feed(text[at:cut])
        at = cut

    assert (found, one.held, one.rest()) == (blocks, len(rest), rest)
    assert one.held == 0


def test_an_event_without_end_costs_no_more_than_its_length() -> None:
    one, began = EventBlocks(), time.process_time()
    for _ in range(2000):
        one.feed(b"\n".join([b"x" * 100] * 20))

    assert time.process_time() - began < 1.0  # searched anew each time it took minutes


@pytest.mark.parametrize(
    ("block", "comment"),
    [
        (b": waking\n\n", True),
        (b": a\n: b\n\n", True),
        (b"\n\n", True),
        (b": a\ndata: b\n\n", False),
        (b"data: :\n\n", False),
    ],
)
def test_a_comment_is_no_event(block: bytes, comment: bool) -> None:
    assert is_comment(block) is comment


def test_a_number_is_the_id_of_an_event() -> None:
    assert numbered(7, b"event: a\ndata: b\n\n") == b"id: 7\nevent: a\ndata: b\n\n"
