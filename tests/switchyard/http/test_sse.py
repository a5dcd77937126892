"""Events out of a stream of bytes; cuts at every place are what tests/fuzz is for."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.http import sse
from switchyard.http.sse import Events, EventTooLongError, UsageComments


def test_events_are_told_by_blank_lines_whatever_the_lines_end_with() -> None:
    stream = b"event: x\r\ndata: one\r\ndata: two\r\n\r\n: heartbeat\n\ndata:three\n\n\ndata: four"
    assert Events().feed(stream) == [b"one\ntwo", b"three"]


@pytest.mark.parametrize("line", [b"data: x\n", b"data: x"])
def test_an_event_that_never_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(sse, "EVENT_BYTES", 100)
    events = Events()
    for _ in range(14):  # of seven bytes each
        assert events.feed(line) == []
    with pytest.raises(EventTooLongError, match="exceeds 100 bytes"):
        events.feed(line)


USAGE = b': usage {"prompt_tokens":3}\n\n'


def without_usage(chunks: Sequence[bytes]) -> bytes:
    comments = UsageComments()
    return b"".join([comments.feed(chunk) for chunk in chunks]) + comments.end()


def cut(stream: bytes, places: set[int]) -> list[bytes]:
    bounds = [0, *sorted(place for place in places if place < len(stream)), len(stream)]
    return [stream[start:end] for start, end in itertools.pairwise(bounds)]


@pytest.mark.parametrize(
    ("stream", "rest"),
    [
        (b"data: 1\n\n" + USAGE + b"data: [DONE]\n\n", b"data: 1\n\ndata: [DONE]\n\n"),
        (b"data: 1\n\n" + USAGE, b"data: 1\n\n"),
        (USAGE + USAGE + b"data: 1\n\n", b"data: 1\n\n"),
        (b"data: 1\n\n: usage {}\ndata: 2\n\n", b"data: 1\n\ndata: 2\n\n"),  # no empty line of its own
        (b"data: 1\n\n: usage {}", b"data: 1\n\n"),  # the stream was cut
    ],
)
def test_usage_comments_are_removed_wherever_a_stream_is_cut(stream: bytes, rest: bytes) -> None:
    for place in range(len(stream) + 1):
        assert without_usage([stream[:place], stream[place:]]) == rest
    assert without_usage([stream[at : at + 1] for at in range(len(stream))]) == rest


@pytest.mark.parametrize(
    "stream",
    [
        b'data: {"text":"\\n\\n: usage {}"}\n\n: waking chat\n\n: usa\n\ndata: : usage \n\n',
        b"data: 1\n: usage {}\n\ndata: 2\n\n",  # within an event, whose end is the empty line
        b"data: 1\r\n\r\n: usage",
        b"data: 1\n\n: us",
        b"",
    ],
)
def test_all_else_in_a_stream_stays_as_it_is(stream: bytes) -> None:
    for place in range(len(stream) + 1):
        assert without_usage([stream[:place], stream[place:]]) == stream
    assert without_usage([stream[at : at + 1] for at in range(len(stream))]) == stream


@given(
    st.lists(
        st.sampled_from([b"data: 1", b"\n", b"\n\n", b": usage ", b": usage {}\n", b": us", USAGE, b"\r\n", b" "])
    ),
    st.sets(st.integers(0, 200)),
)
def test_what_is_removed_does_not_depend_on_where_a_stream_is_cut(parts: list[bytes], places: set[int]) -> None:
    stream = b"".join(parts)
    assert without_usage(cut(stream, places)) == without_usage([stream])


@given(
    st.lists(st.sampled_from([b"data: 1\n\n", b": waking\n\n", b"event: x\ndata: 2\n\n"])), st.sets(st.integers(0, 200))
)
def test_a_stream_with_usage_after_each_event_becomes_the_stream_without(parts: list[bytes], places: set[int]) -> None:
    assert without_usage(cut(b"".join([part + USAGE for part in parts]), places)) == b"".join(parts)


def test_an_event_goes_on_at_once_and_a_comment_without_end_is_not_held() -> None:
    comments = UsageComments()
    assert comments.feed(b"data: 1\n\n") == b"data: 1\n\n"
    assert comments.feed(b"data: 2\n") == b"data: 2\n"
    assert comments.feed(b"\n: usage " + b"x" * 100) == b"\n"
    assert comments.feed(b"x" * 5000).endswith(b"x" * 5000)
