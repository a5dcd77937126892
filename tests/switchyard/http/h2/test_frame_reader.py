import pytest
from hypothesis import given
from hypothesis import strategies as st

from switchyard.http.h2 import frame_reader, frames
from switchyard.http.h2.frame_reader import FrameReader
from switchyard.http.h2.frames import ProtocolError

NUMBERS = st.integers(1, 5)


class Recorder(FrameReader):
    """Notes what it read; data that came in several chunks is one entry."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[tuple[str, int, bytes, bool]] = []
        self.bad: ProtocolError | None = None
        self._open = False

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        self._open = False
        self.read.append(("headers", number, block, end))

    def on_data(self, number: int, chunk: bytes, size: int, end: bool) -> None:
        if self._open and self.read[-1][:2] == ("data", number):
            _, _, before, _ = self.read.pop()
            chunk = before + chunk
        self._open = True
        self.read.append(("data", number, chunk, end))

    def on_window_update(self, number: int, by: int) -> None:
        self._open = False
        self.read.append(("widened", number, by.to_bytes(4, "big"), False))

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        self._open = False
        self.read.append((str(kind), number, payload, False))

    def on_protocol_error(self, err: ProtocolError) -> None:
        self.bad = err

    def pause_reading(self) -> None:
        self.read_buffered()  # on a busy machine a turn may be over at any header block


@st.composite
def frame(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from((frames.DATA, frames.HEADERS, frames.PING, frames.WINDOW_UPDATE, 99)))
    payload = draw(st.binary(max_size=40))
    flags = draw(st.sampled_from((0, frames.END_STREAM)))
    number = draw(NUMBERS)
    if kind == frames.HEADERS and draw(st.booleans()):
        rest = draw(st.binary(max_size=10))
        return (
            frames.frame_header(len(payload), kind, flags, number)
            + payload
            + frames.frame_header(len(rest), frames.CONTINUATION, frames.END_HEADERS, number)
            + rest
        )
    if kind == frames.HEADERS:
        flags |= frames.END_HEADERS
    if kind in (frames.DATA, frames.HEADERS) and draw(st.booleans()):
        padding = draw(st.integers(0, 20))
        payload, flags = bytes((padding,)) + payload + bytes(padding), flags | frames.PADDED
    return frames.frame_header(len(payload), kind, flags, number) + payload


@given(st.lists(frame(), max_size=8), st.lists(st.integers(1, 60), max_size=40))
def test_however_bytes_are_cut_the_same_frames_are_read(sent: list[bytes], cuts: list[int]) -> None:
    whole, cut = Recorder(), Recorder()
    data = b"".join(sent)
    whole.data_received(data)
    for size in cuts:
        cut.data_received(data[:size])
        data = data[size:]
    cut.data_received(data)

    assert whole.bad is None
    assert cut.bad is None
    assert cut.read == whole.read


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_rejected(data: bytes) -> None:
    Recorder().data_received(data)


class Patient(Recorder):
    """Counts how often the rest waits for a further turn."""

    turns = 1

    def pause_reading(self) -> None:
        self.turns += 1


def test_a_header_block_that_takes_long_is_the_last_of_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_reader, "TURN_SECONDS", -1.0)
    reader = Patient()
    begun = frames.frame_header(1, frames.HEADERS, 0, 3) + b"a"
    reader.data_received(
        frames.frame_header(1, frames.HEADERS, frames.END_HEADERS, 1)
        + b"a"
        + begun
        + frames.frame_header(1, frames.CONTINUATION, frames.END_HEADERS, 3)
        + b"b"
        + frames.frame_header(8, frames.PING, 0, 0)
        + bytes(8)
    )
    assert [number for _, number, _, _ in reader.read] == [1]
    assert not reader.read_buffered()
    assert [number for _, number, _, _ in reader.read] == [1, 3]
    assert reader.read_buffered()
    assert (len(reader.read), reader.turns) == (3, 3)
