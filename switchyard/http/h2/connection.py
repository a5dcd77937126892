"""One HTTP/2 connection as a proxy needs it: streams, and windows kept on both sides.

A peer may send more only once what it sent has left here.
"""

import asyncio
from typing import Any, cast

from switchyard.http.h2 import frames
from switchyard.http.h2.frame_reader import MAX_FRAME, FrameReader
from switchyard.http.h2.frame_sender import Sender
from switchyard.http.h2.frames import BadFrame
from switchyard.http.h2.stream import Stream

STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 4 * 1024 * 1024
_STREAMS_A_FRAME = 8  # as many are looked at in the time that a frame takes, when the windows of all change
_PATIENCE_SECONDS = 10  # with a peer that broke the protocol and does not read what it is told


class Connection(Sender, FrameReader):
    """What client and server sides have in common; ``goodbye`` is called once, when the socket is closed."""

    def __init__(self) -> None:
        Sender.__init__(self)
        FrameReader.__init__(self)
        self.streams: dict[int, Stream] = {}
        self.initial_window = frames.DEFAULT_WINDOW
        self._owed = 0
        self._received = 0  # bytes that came and have not been passed on

    # -- what the two sides differ in

    def settings_acknowledged(self) -> None:
        raise NotImplementedError

    def goodbye(self) -> None:
        raise NotImplementedError

    @property
    def last(self) -> int:
        """The number of the last stream that the peer has opened."""
        return 0

    def reset_by_peer(self, stream: Stream) -> None:
        """The peer gives a stream up."""

    def late(self, number: int) -> None:
        """Data or header fields on a stream that has ended; whoever minds raises ``BadFrame``."""

    def idle(self, number: int) -> bool:
        """Whether no stream of this number has been opened yet."""
        raise NotImplementedError

    def going_away(self, last: int) -> None:
        """The peer takes no new streams, and of those that we opened none behind ``last``."""

    def settings_received(self, values: dict[int, int]) -> None:
        """The peer has said what it takes."""

    def forgotten(self) -> None:
        """A stream has ended."""

    # -- streams

    def cut(self, stream: Stream, code: int) -> None:
        """Ends a stream for which nothing more will be sent or heard."""
        if not (stream.finished and stream.heard_all):
            self.write(frames.head(4, frames.RST_STREAM, 0, stream.id) + frames.number(code))
        self._forget(stream)

    def passed_on(self, stream: Stream, size: int) -> None:
        """``size`` bytes of the stream have left here, so that the peer may send as many again."""
        self._give_back(size)
        if stream.heard_all:
            return
        stream.owed += size
        if stream.owed > STREAM_WINDOW // 2:
            self.write(frames.head(4, frames.WINDOW_UPDATE, 0, stream.id) + frames.number(stream.owed))
            stream.owed = 0

    def _give_back(self, size: int) -> None:
        self._received -= size
        self._owed += size
        if self._owed > CONNECTION_WINDOW // 2:
            self.write(frames.head(4, frames.WINDOW_UPDATE, 0, 0) + frames.number(self._owed))
            self._owed = 0

    def sent_all(self, stream: Stream) -> None:
        if stream.heard_all:
            self._forget(stream)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        stream.finished = stream.heard_all = True
        while stream.pending:  # never to be sent: its source must not wait for that
            kind, payload, _ = stream.pending.popleft()
            self._release(stream, kind, payload)
        self.forgotten()

    # -- in

    def on_bad(self, err: BadFrame) -> None:
        self.go_away(self.last, err.code, str(err))
        self.close()
        self._loop.call_later(_PATIENCE_SECONDS, self.abort)

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and self.go_on():
            self._transport.resume_reading()

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        handler = _CONTROL.get(kind)
        if handler is None:  # kinds that are not known are passed over (RFC 9113 §4.1)
            return
        if bool(number) == (kind in _OF_NO_STREAM) and kind != frames.WINDOW_UPDATE:
            raise BadFrame(frames.PROTOCOL_ERROR, "a frame of the connection on a stream, or of a stream on none")
        if number and kind != frames.PRIORITY and self.idle(number):
            raise BadFrame(frames.PROTOCOL_ERROR, "a frame on a stream that nobody has opened")
        handler(self, flags, number, payload)

    def _reset(self, flags: int, number: int, payload: bytes) -> None:
        code = _number(payload)
        if (stream := self.streams.get(number)) is not None:
            self.reset_by_peer(stream)
            self._forget(stream)
            stream.half.reset(stream, code)

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise BadFrame(frames.FRAME_SIZE_ERROR, "a PING of another size than eight")
        if not flags & frames.ACK:
            self.write(frames.head(8, frames.PING, frames.ACK, 0) + payload)

    def _goaway(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) < 8:
            raise BadFrame(frames.FRAME_SIZE_ERROR, "a GOAWAY shorter than eight")
        self.going_away(_number(payload[:4]) & frames.MAX_WINDOW)

    def _priority(self, flags: int, number: int, payload: bytes) -> None:
        """Deprecated, and passed over (RFC 9113 §5.3.2)."""
        if len(payload) != 5:
            raise BadFrame(frames.FRAME_SIZE_ERROR, "a PRIORITY of another size than five")

    def _push(self, flags: int, number: int, payload: bytes) -> None:
        raise BadFrame(frames.PROTOCOL_ERROR, "a PUSH_PROMISE, which nobody allowed")

    def on_data(self, number: int, piece: bytes, size: int, end: bool) -> None:
        self._received += size
        if self._received > CONNECTION_WINDOW + frames.DEFAULT_WINDOW:
            raise BadFrame(frames.FLOW_CONTROL_ERROR, "more data than the window allows")
        stream = self.streams.get(number)
        if stream is None or stream.heard_all:
            if self.idle(number):
                raise BadFrame(frames.PROTOCOL_ERROR, "data on a stream that is not open")
            if stream is not None:
                raise BadFrame(frames.STREAM_CLOSED, "data after the end of a message")
            self.late(number)
            self._give_back(size)  # of a stream that was cut meanwhile
            return
        if padding := size - len(piece):
            self.passed_on(stream, padding)
        self.hear(stream, piece, end)

    def hear(self, stream: Stream, piece: bytes, end: bool) -> None:
        stream.heard_all = end
        stream.half.data(stream, piece, end)
        if stream.finished and end:
            self._forget(stream)

    def _widen(self, flags: int, number: int, payload: bytes) -> None:
        by = _number(payload) & frames.MAX_WINDOW
        if not by:
            raise BadFrame(frames.PROTOCOL_ERROR, "a WINDOW_UPDATE by nothing")
        if not number:
            self._window += by
            if self._window > frames.MAX_WINDOW:
                raise BadFrame(frames.FLOW_CONTROL_ERROR, "the connection's window is too large")
            self._drain_all()
        elif (stream := self.streams.get(number)) is not None:
            stream.window += by
            if stream.window > frames.MAX_WINDOW:
                self.cut(stream, frames.FLOW_CONTROL_ERROR)
                stream.half.reset(stream, frames.FLOW_CONTROL_ERROR)
            else:
                self._drain(stream)

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise BadFrame(frames.FRAME_SIZE_ERROR, "an acknowledgement of settings that says more")
            self.settings_acknowledged()
            return
        values = frames.read_settings(payload)
        self.spend(len(self.streams) // _STREAMS_A_FRAME)
        self._max_frame = min(values.get(frames.MAX_FRAME_SIZE, self._max_frame), MAX_FRAME)
        window = values.get(frames.INITIAL_WINDOW_SIZE, self.initial_window)
        for stream in self.streams.values():  # RFC 9113 §6.9.2
            stream.window += window - self.initial_window
        wider, self.initial_window = window > self.initial_window, window
        self.table_limited |= frames.HEADER_TABLE_SIZE in values
        self.settings_received(values)
        self.write(frames.head(0, frames.SETTINGS, frames.ACK, 0))
        if wider:
            for stream in tuple(self.streams.values()):
                self._drain(stream)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        streams, self.streams = self.streams, {}
        for stream in streams.values():
            self._forget(stream)
            stream.half.reset(stream, frames.INTERNAL_ERROR)
        self.goodbye()


def own_settings(**values: int) -> bytes:
    """SETTINGS of this side and the window of its connection; ``values`` are names of ``frames``."""
    given = {
        frames.HEADER_TABLE_SIZE: 0,
        frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        frames.MAX_FRAME_SIZE: MAX_FRAME,
        **{cast(Any, getattr(frames, name)): value for name, value in values.items()},
    }
    wider = CONNECTION_WINDOW - frames.DEFAULT_WINDOW
    return frames.settings(given) + frames.head(4, frames.WINDOW_UPDATE, 0, 0) + frames.number(wider)


def _number(payload: bytes) -> int:
    if len(payload) != 4:
        raise BadFrame(frames.FRAME_SIZE_ERROR, "a frame of another size than four")
    return int.from_bytes(payload, "big")


_CONTROL = {
    frames.WINDOW_UPDATE: Connection._widen,
    frames.RST_STREAM: Connection._reset,
    frames.SETTINGS: Connection._settings,
    frames.PING: Connection._ping,
    frames.GOAWAY: Connection._goaway,
    frames.PRIORITY: Connection._priority,
    frames.PUSH_PROMISE: Connection._push,
}
_OF_NO_STREAM = (frames.SETTINGS, frames.PING, frames.GOAWAY)
