"""Bytes to frames; data is handed on as it arrives, also in the middle of a frame."""

import asyncio

from switchyard.http.h2 import frames
from switchyard.http.h2.frames import BadFrame

MAX_FRAME = 256 * 1024
TURN = 256  # frames read before others on this event loop get their turn; header fields count as several
_HEADERS_WEIGHT = 8
_USEFUL_BYTES = 5  # of DATA; the prefix of a gRPC message is as long, so the smallest of those is useful
HEADER_BYTES = 32 * 1024  # of one block, still compressed; frames of other kinds than DATA are no longer


class FrameReader(asyncio.Protocol):
    """What every connection does with what it receives."""

    def __init__(self) -> None:
        self._rest = b""
        self._waits_for_turn = False
        self._data_left = 0  # of the DATA frame whose beginning has been handed on
        self._data_stream = 0
        self._data_ends = False
        self._block: tuple[int, bool, bytes] | None = None  # header fields that go on in the next frame

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        """A whole block of header fields."""
        raise NotImplementedError

    def on_data(self, number: int, piece: bytes, size: int, end: bool) -> None:
        """``size`` counts padding too."""
        raise NotImplementedError

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """A frame of any other kind."""
        raise NotImplementedError

    def on_bad(self, err: BadFrame) -> None:
        """The peer broke the protocol."""
        raise NotImplementedError

    def spend(self, cost: int) -> None:
        """A frame came that carries nothing; whoever bounds their number raises ``BadFrame``."""

    def pause(self) -> None:
        """The rest of what was read waits for the loop's next turn; nothing more need be read until ``go_on``."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        if self._waits_for_turn:
            self._rest = data
            return
        try:
            self._rest = data[self._read(data) :]
        except BadFrame as err:
            self.on_bad(err)
            return
        if self._waits_for_turn:
            self.pause()

    def go_on(self) -> bool:
        """Read what waited; returns whether all of it has been."""
        self._waits_for_turn = False
        self.data_received(b"")
        return not self._waits_for_turn

    def _read(self, data: bytes) -> int:
        """Read what is complete, and data as far as it came; returns where the rest begins.

        A read can hold 25,000 empty frames: after ``TURN`` of them the rest waits, so that one client cannot keep the
        loop from the others.
        """
        at, size, turn = 0, len(data), TURN
        while at < size:
            if self._data_left:
                piece = data[at : at + self._data_left]
                at += len(piece)
                self._data_left -= len(piece)
                self.on_data(self._data_stream, piece, len(piece), self._data_ends and not self._data_left)
                continue
            if size - at < frames.HEAD_BYTES:
                break
            if turn <= 0:
                self._waits_for_turn = True
                break
            high, low, kind, flags, number = frames.HEAD.unpack_from(data, at)
            length, number = high << 8 | low, number & frames.MAX_WINDOW
            turn -= 1 + self._check(kind, length)
            if kind == frames.DATA and length and not flags & frames.PADDED:
                if length < _USEFUL_BYTES and not flags & frames.END_STREAM:
                    self.spend(1)
                at += frames.HEAD_BYTES
                self._data_left, self._data_stream = length, number
                self._data_ends = bool(flags & frames.END_STREAM)
                continue
            end = at + frames.HEAD_BYTES + length
            if end > size:
                break
            self._frame(kind, flags, number, data[at + frames.HEAD_BYTES : end])
            at = end
        return at

    def _check(self, kind: int, length: int) -> int:
        """Refuse what is too long or out of order; returns what the frame weighs more than others."""
        if length > HEADER_BYTES and (kind != frames.DATA or length > MAX_FRAME):
            if kind in (frames.HEADERS, frames.CONTINUATION) and length <= MAX_FRAME:
                raise BadFrame(frames.ENHANCE_YOUR_CALM, f"more than {HEADER_BYTES} bytes of header fields")
            raise BadFrame(frames.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
        if self._block is not None and kind != frames.CONTINUATION:
            raise BadFrame(frames.PROTOCOL_ERROR, "header fields broke off")
        return _HEADERS_WEIGHT if kind == frames.HEADERS else 0

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind != frames.HEADERS:
            self.spend(1)
        if kind == frames.HEADERS:
            self._gather(number, bool(flags & frames.END_STREAM), frames.unpadded(flags, payload), flags)
        elif kind == frames.DATA:
            end = bool(flags & frames.END_STREAM)
            self.on_data(number, frames.unpadded(flags & frames.PADDED, payload), len(payload), end)
        elif kind == frames.CONTINUATION:
            if self._block is None or self._block[0] != number:
                raise BadFrame(frames.PROTOCOL_ERROR, "a CONTINUATION without header fields before it")
            _, end, begun = self._block
            self._gather(number, end, begun + payload, flags)
        else:
            self.on_control(kind, flags, number, payload)

    def _gather(self, number: int, end: bool, block: bytes, flags: int) -> None:
        if not number:
            raise BadFrame(frames.PROTOCOL_ERROR, "header fields outside of a stream")
        if len(block) > HEADER_BYTES:
            raise BadFrame(frames.ENHANCE_YOUR_CALM, f"more than {HEADER_BYTES} bytes of header fields")
        if flags & frames.END_HEADERS:
            self._block = None
            self.on_headers(number, block, end)
        else:
            self._block = (number, end, block)
