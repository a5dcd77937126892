"""Bytes to frames; DATA is delivered as it arrives, also in the middle of a frame."""

import asyncio
from time import monotonic

from switchyard.http.h2 import frames
from switchyard.http.h2.frames import ProtocolError

MAX_FRAME = 256 * 1024
TURN = 256  # frames read before other connections of this event loop get their turn; HEADERS count as several
TURN_SECONDS = 0.002  # after which a header block is the last of its turn: 20 KB in Huffman's code take 7 ms to decode
_HEADERS_WEIGHT = 9  # each starts a handler; other frames weigh 1
_FORM = frames.END_HEADERS | frames.PADDED | frames.PRIORITIZED  # flags that say how to read a header block
_WINDOW_UPDATE_BYTES = 4
_USEFUL_BYTES = 5  # of DATA: as long as the prefix of a gRPC message, so the smallest message is useful
HEADER_BLOCK_BYTES = 32 * 1024  # still compressed; frames of other types than DATA are no longer either
_BLOCK_TOO_LARGE = f"a header block must not exceed {HEADER_BLOCK_BYTES} octets"


class FrameReader(asyncio.Protocol):
    """Parses what a connection receives."""

    def __init__(self) -> None:
        self._buffer = b""
        self._yielded = False
        self._data_remaining = 0  # of the DATA frame whose beginning has been delivered
        self._data_stream = 0
        self._data_ends = False
        self._block: tuple[int, bool, bytes] | None = None  # a header block that continues in the next frame

    def on_headers(self, number: int, block: bytes, end: bool) -> None:
        """A whole header block has arrived."""
        raise NotImplementedError

    def on_data(self, number: int, chunk: bytes, size: int, end: bool) -> None:
        """Part of a DATA frame has arrived; ``size`` includes padding."""
        raise NotImplementedError

    def on_window_update(self, number: int, by: int) -> None:
        """The peer takes ``by`` bytes more on a stream, or, on stream 0, on all together."""
        raise NotImplementedError

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """A frame of any other type has arrived, or a WINDOW_UPDATE of a wrong length."""
        raise NotImplementedError

    def on_protocol_error(self, err: ProtocolError) -> None:
        """The peer broke the protocol; nothing more is read."""
        raise NotImplementedError

    def spend(self, cost: int) -> None:
        """A frame without content has arrived; raises ``ProtocolError`` where their number is limited."""

    def pause_reading(self) -> None:
        """Stop reading the socket until ``read_buffered`` has parsed what is buffered, on the loop's next turn."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data, self._buffer = self._buffer + data, b""
        if self._yielded:
            self._buffer = data
            return
        try:
            self._buffer = data[self._read(data) :]
        except ProtocolError as err:
            self.on_protocol_error(err)
            return
        if self._yielded:
            self.pause_reading()

    def read_buffered(self) -> bool:
        """Parse what is buffered, for one turn; return whether that was all."""
        self._yielded = False
        self.data_received(b"")
        return not self._yielded

    def _read(self, data: bytes) -> int:
        """Parse complete frames, and DATA as far as it has arrived; return where the rest begins.

        One read of the socket can hold 25,000 empty frames, or 30 header blocks of 500 fields: after ``TURN`` frames or
        ``TURN_SECONDS`` the rest waits, so that one client cannot keep the event loop from the others.
        """
        at, size, turn, until = 0, len(data), TURN, monotonic() + TURN_SECONDS
        while at < size:
            if self._data_remaining:
                chunk = data[at : at + self._data_remaining]
                at += len(chunk)
                self._data_remaining -= len(chunk)
                self.on_data(self._data_stream, chunk, len(chunk), self._data_ends and not self._data_remaining)
                continue
            if size - at < frames.FRAME_HEADER_BYTES:
                break
            if turn <= 0:
                self._yielded = True
                break
            head, flags, number = frames.FRAME_HEADER.unpack_from(data, at)
            length, kind, number = head >> 8, head & 0xFF, number & frames.MAX_WINDOW  # less the reserved bit
            turn -= _HEADERS_WEIGHT if kind == frames.HEADERS else 1
            if length > HEADER_BLOCK_BYTES or self._block is not None:
                self._check(kind, length)
            if kind == frames.DATA and length and not flags & frames.PADDED:
                if length < _USEFUL_BYTES and not flags & frames.END_STREAM:
                    self.spend(1)
                at += frames.FRAME_HEADER_BYTES
                self._data_remaining, self._data_stream = length, number
                self._data_ends = bool(flags & frames.END_STREAM)
                continue
            end = at + frames.FRAME_HEADER_BYTES + length
            if end > size:
                break
            payload = data[at + frames.FRAME_HEADER_BYTES : end]
            self._frame(kind, flags, number, payload)
            at = end
            if self._block is None and kind in (frames.HEADERS, frames.CONTINUATION) and monotonic() > until:
                turn = 0
        return at

    def _check(self, kind: int, length: int) -> None:
        """Check a frame's length and its place in a header block.

        Raises:
            ProtocolError: it is too long, or interrupts a header block.
        """
        if length > HEADER_BLOCK_BYTES and (kind != frames.DATA or length > MAX_FRAME):
            if kind in (frames.HEADERS, frames.CONTINUATION) and length <= MAX_FRAME:
                raise ProtocolError(frames.ENHANCE_YOUR_CALM, _BLOCK_TOO_LARGE)
            raise ProtocolError(frames.FRAME_SIZE_ERROR, f"a frame of {length} octets is too long")
        if self._block is not None and kind != frames.CONTINUATION:
            raise ProtocolError(frames.PROTOCOL_ERROR, "a header block must be continued before other frames")

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        # First what gRPC sends most, in its usual form: three header blocks and as many updates for each small call.
        if kind == frames.HEADERS and flags & _FORM == frames.END_HEADERS and number:
            self.on_headers(number, payload, bool(flags & frames.END_STREAM))
        elif kind == frames.WINDOW_UPDATE and len(payload) == _WINDOW_UPDATE_BYTES:
            self.spend(1)
            self.on_window_update(number, int.from_bytes(payload, "big") & frames.MAX_WINDOW)
        elif kind == frames.HEADERS:
            self._gather(number, bool(flags & frames.END_STREAM), frames.unpadded(flags, payload), flags)
        else:
            self.spend(1)
            self._rare_frame(kind, flags, number, payload)

    def _rare_frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if kind == frames.DATA:
            end = bool(flags & frames.END_STREAM)
            self.on_data(number, frames.unpadded(flags & frames.PADDED, payload), len(payload), end)
        elif kind == frames.CONTINUATION:
            if self._block is None or self._block[0] != number:
                raise ProtocolError(frames.PROTOCOL_ERROR, "CONTINUATION must follow HEADERS on the same stream")
            _, end, begun = self._block
            self._gather(number, end, begun + payload, flags)
        else:
            self.on_control(kind, flags, number, payload)

    def _gather(self, number: int, end: bool, block: bytes, flags: int) -> None:
        if not number:
            raise ProtocolError(frames.PROTOCOL_ERROR, "HEADERS must not be on stream 0")
        if len(block) > HEADER_BLOCK_BYTES:
            raise ProtocolError(frames.ENHANCE_YOUR_CALM, _BLOCK_TOO_LARGE)
        if flags & frames.END_HEADERS:
            self._block = None
            self.on_headers(number, block, end)
        else:
            self._block = (number, end, block)
