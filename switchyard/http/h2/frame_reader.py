"""Bytes to frames; data is handed on as it arrives, also in the middle of a frame."""

import asyncio

from switchyard.http.h2 import frames
from switchyard.http.h2.frames import BadFrame

MAX_FRAME = 256 * 1024
HEADER_BYTES = 64 * 1024  # of one block, still compressed; frames of other kinds than DATA are no longer


class FrameReader(asyncio.Protocol):
    """What every connection does with what it receives."""

    def __init__(self) -> None:
        self._rest = b""
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

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data, self._rest = self._rest + data, b""
        try:
            self._rest = data[self._read(data) :]
        except BadFrame as err:
            self.on_bad(err)

    def _read(self, data: bytes) -> int:
        """Reads what is complete, and data as far as it came; returns where the rest begins."""
        at, size = 0, len(data)
        while at < size:
            if self._data_left:
                piece = data[at : at + self._data_left]
                at += len(piece)
                self._data_left -= len(piece)
                self.on_data(self._data_stream, piece, len(piece), self._data_ends and not self._data_left)
                continue
            if size - at < frames.HEAD_BYTES:
                break
            high, low, kind, flags, number = frames.HEAD.unpack_from(data, at)
            length, number = high << 8 | low, number & frames.MAX_WINDOW
            if length > (MAX_FRAME if kind == frames.DATA else HEADER_BYTES):
                raise BadFrame(frames.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            if self._block is not None and kind != frames.CONTINUATION:
                raise BadFrame(frames.PROTOCOL_ERROR, "header fields broke off")
            if kind == frames.DATA and length and not flags & frames.PADDED:
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

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
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
