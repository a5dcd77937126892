"""Events out of a stream of bytes; cuts at every place are what tests/fuzz is for."""

import pytest

from switchyard.http import sse
from switchyard.http.sse import Events, EventTooLongError


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
