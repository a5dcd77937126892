"""One HTTP/2 connection as a proxy needs it: streams, and flow-control windows on both sides.

A peer may send more only once what it sent has been used here, so a slow reader slows the sender behind it.
"""

import asyncio
from typing import Any, cast

from switchyard.http.h2 import frames
from switchyard.http.h2.frame_reader import MAX_FRAME, FrameReader
from switchyard.http.h2.frame_sender import FrameSender
from switchyard.http.h2.frames import ProtocolError
from switchyard.http.h2.stream import Stream

STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 4 * 1024 * 1024
_STREAMS_PER_FRAME = 8  # SETTINGS that change every stream's window cost as much as a frame for this many streams
_RESETS_PER_TURN = 32  # handlers of a lost connection that are cancelled at once: each may unwind for 0.1 ms
_IDLE = "frame on an idle stream"
_GOAWAY_SECONDS = 10  # for a peer that broke the protocol to read the GOAWAY frame


class Connection(FrameSender, FrameReader):
    """What client and server connections have in common."""

    def __init__(self) -> None:
        FrameSender.__init__(self)
        FrameReader.__init__(self)
        self.streams: dict[int, Stream] = {}
        self.initial_window = frames.DEFAULT_WINDOW
        self._unacknowledged = 0  # bytes used here, for which no WINDOW_UPDATE has been sent yet
        self._received = 0  # bytes received and not used yet

    # -- hooks: what client and server connections differ in

    def settings_acknowledged(self) -> None:
        raise NotImplementedError

    def on_closed(self) -> None:
        """The socket has been closed; called once."""
        raise NotImplementedError

    @property
    def last_stream_id(self) -> int:
        """The id of the last stream that the peer has opened."""
        return 0

    def reset_by_peer(self, stream: Stream) -> None:
        """The peer has reset a stream."""

    def frame_after_close(self, number: int) -> None:
        """Data or headers came on a closed stream; raises ``ProtocolError`` where the peer can know that it is."""

    def is_idle_stream(self, number: int) -> bool:
        """Return whether no stream of this id has been opened yet."""
        raise NotImplementedError

    def goaway_received(self, last: int) -> None:
        """The peer accepts no new streams, and ignores those that this side opened after ``last``."""

    def settings_received(self, values: dict[int, int]) -> None:
        """The peer has sent its settings."""

    def on_stream_closed(self) -> None:
        """A stream has been closed."""

    # -- streams

    def reset_stream(self, stream: Stream, code: int) -> None:
        """Close a stream on both sides, with RST_STREAM unless both have ended it."""
        if not (stream.local_closed and stream.remote_closed):
            self.write(frames.uint32_frame(frames.RST_STREAM, stream.id, code))
        self._close_stream(stream)

    def acknowledge(self, stream: Stream, size: int) -> None:
        """Let the peer send ``size`` bytes more on the stream, as many as were used here.

        A WINDOW_UPDATE goes out for half a window at a time: one for each chunk would double the frames.
        """
        self._acknowledge_connection(size)
        if stream.remote_closed:
            return
        stream.unacknowledged += size
        if stream.unacknowledged > STREAM_WINDOW // 2:
            self.write(frames.uint32_frame(frames.WINDOW_UPDATE, stream.id, stream.unacknowledged))
            stream.unacknowledged = 0

    def _acknowledge_connection(self, size: int) -> None:
        self._received -= size
        self._unacknowledged += size
        if self._unacknowledged > CONNECTION_WINDOW // 2:
            self.write(frames.uint32_frame(frames.WINDOW_UPDATE, 0, self._unacknowledged))
            self._unacknowledged = 0

    def end_stream_sent(self, stream: Stream) -> None:
        if stream.remote_closed:
            self._close_stream(stream)

    def _close_stream(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        stream.local_closed = stream.remote_closed = True
        while stream.pending:  # it will never be sent, and its source must not wait for that
            kind, payload, _ = stream.pending.popleft()
            self._notify_source(stream, kind, payload)
        self.on_stream_closed()

    # -- in

    def on_protocol_error(self, err: ProtocolError) -> None:
        self.go_away(self.last_stream_id, err.code, str(err))
        self.close()
        self._loop.call_later(_GOAWAY_SECONDS, self.abort)

    def pause_reading(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()
            self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing() and self.read_buffered():
            self._transport.resume_reading()

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        handler = _CONTROL.get(kind)
        if handler is None:  # unknown frame types are ignored (RFC 9113 §4.1)
            return
        if bool(number) == (kind in _CONNECTION_FRAMES) and kind != frames.WINDOW_UPDATE:
            raise ProtocolError(frames.PROTOCOL_ERROR, "frame type not allowed on this stream identifier")
        if number and kind != frames.PRIORITY and self.is_idle_stream(number):
            raise ProtocolError(frames.PROTOCOL_ERROR, _IDLE)
        handler(self, flags, number, payload)

    def _reset(self, flags: int, number: int, payload: bytes) -> None:
        code = _uint32(payload)
        if (stream := self.streams.get(number)) is not None:
            self.reset_by_peer(stream)
            self._close_stream(stream)
            stream.handler.reset(stream, code)

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "PING payload must be 8 octets")
        if not flags & frames.ACK:
            self.write(frames.frame_header(8, frames.PING, frames.ACK, 0) + payload)

    def _goaway(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) < 8:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "GOAWAY payload must be at least 8 octets")
        self.goaway_received(_uint32(payload[:4]) & frames.MAX_WINDOW)

    def _priority(self, flags: int, number: int, payload: bytes) -> None:
        """Ignored: priorities are deprecated (RFC 9113 §5.3.2)."""
        if len(payload) != 5:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "PRIORITY payload must be 5 octets")

    def _push(self, flags: int, number: int, payload: bytes) -> None:
        raise ProtocolError(frames.PROTOCOL_ERROR, "PUSH_PROMISE is not allowed: server push is disabled")

    def on_data(self, number: int, chunk: bytes, size: int, end: bool) -> None:
        self._received += size
        if self._received > CONNECTION_WINDOW + frames.DEFAULT_WINDOW:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "more data than the connection's flow-control window allows")
        stream = self.streams.get(number)
        if stream is None or stream.remote_closed:
            if self.is_idle_stream(number):
                raise ProtocolError(frames.PROTOCOL_ERROR, "DATA on an idle stream")
            if stream is not None:
                raise ProtocolError(frames.STREAM_CLOSED, "DATA after END_STREAM")
            self.frame_after_close(number)
            self._acknowledge_connection(size)  # the peer sent it before it knew of the reset
            return
        if padding := size - len(chunk):
            self.acknowledge(stream, padding)
        self.dispatch(stream, chunk, end)

    def dispatch(self, stream: Stream, chunk: bytes, end: bool) -> None:
        stream.remote_closed = end
        stream.handler.data(stream, chunk, end)
        if stream.local_closed and end:
            self._close_stream(stream)

    def _window_update(self, flags: int, number: int, payload: bytes) -> None:
        raise ProtocolError(frames.FRAME_SIZE_ERROR, "WINDOW_UPDATE payload must be 4 octets")

    def on_window_update(self, number: int, by: int) -> None:
        if not by:
            raise ProtocolError(frames.PROTOCOL_ERROR, "WINDOW_UPDATE increment must not be 0")
        if not number:
            self._window += by
            if self._window > frames.MAX_WINDOW:
                raise ProtocolError(frames.FLOW_CONTROL_ERROR, "flow-control window must not exceed 2^31-1")
            if self._blocked:
                self._send_blocked()
        elif (stream := self.streams.get(number)) is not None:
            stream.window += by
            if stream.window > frames.MAX_WINDOW:
                self.reset_by_peer(stream)  # the peer made it be reset, which costs as much (CVE-2025-8671)
                self.reset_stream(stream, frames.FLOW_CONTROL_ERROR)
                stream.handler.reset(stream, frames.FLOW_CONTROL_ERROR)
            elif stream.pending:
                self._send_pending(stream)
        elif self.is_idle_stream(number):
            raise ProtocolError(frames.PROTOCOL_ERROR, _IDLE)

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            if payload:
                raise ProtocolError(frames.FRAME_SIZE_ERROR, "SETTINGS with ACK must have no payload")
            self.settings_acknowledged()
            return
        values = frames.read_settings(payload)
        self.spend(len(self.streams) // _STREAMS_PER_FRAME)
        self._max_frame = min(values.get(frames.MAX_FRAME_SIZE, self._max_frame), MAX_FRAME)
        window = values.get(frames.INITIAL_WINDOW_SIZE, self.initial_window)
        for stream in self.streams.values():  # RFC 9113 §6.9.2
            stream.window += window - self.initial_window
        wider, self.initial_window = window > self.initial_window, window
        self.peer_limited_table |= frames.HEADER_TABLE_SIZE in values
        self.settings_received(values)
        self.write(frames.frame_header(0, frames.SETTINGS, frames.ACK, 0))
        if wider:
            for stream in tuple(self.streams.values()):
                self._send_pending(stream)

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not derived from it
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        streams, self.streams = [*self.streams.values()], {}
        for stream in streams:
            self._close_stream(stream)
        self._reset_handlers(streams)

    def _reset_handlers(self, streams: list[Stream]) -> None:
        """Tell a few, and the others in the next turns of the loop: other clients would wait for a thousand tasks."""
        for stream in streams[:_RESETS_PER_TURN]:
            stream.handler.reset(stream, frames.INTERNAL_ERROR)
        if rest := streams[_RESETS_PER_TURN:]:
            self._loop.call_soon(self._reset_handlers, rest)
        else:
            self.on_closed()


def own_settings(**values: int) -> bytes:
    """Encode this side's SETTINGS and the size of its connection window; ``values`` are named as in ``frames``."""
    chosen = {
        frames.HEADER_TABLE_SIZE: 0,
        frames.INITIAL_WINDOW_SIZE: STREAM_WINDOW,
        frames.MAX_FRAME_SIZE: MAX_FRAME,
        **{cast(Any, getattr(frames, name)): value for name, value in values.items()},
    }
    wider = CONNECTION_WINDOW - frames.DEFAULT_WINDOW
    return frames.settings(chosen) + frames.uint32_frame(frames.WINDOW_UPDATE, 0, wider)


def _uint32(payload: bytes) -> int:
    if len(payload) != 4:
        raise ProtocolError(frames.FRAME_SIZE_ERROR, "frame payload must be 4 octets")
    return int.from_bytes(payload, "big")


_CONTROL = {
    frames.WINDOW_UPDATE: Connection._window_update,
    frames.RST_STREAM: Connection._reset,
    frames.SETTINGS: Connection._settings,
    frames.PING: Connection._ping,
    frames.GOAWAY: Connection._goaway,
    frames.PRIORITY: Connection._priority,
    frames.PUSH_PROMISE: Connection._push,
}
_CONNECTION_FRAMES = (frames.SETTINGS, frames.PING, frames.GOAWAY)
