"""One HTTP/2 connection as a proxy needs it: streams, and windows kept on both sides.

A peer may send more only once what it sent has left here.
"""

import asyncio
from typing import Any, cast

from switchyard.http.h2 import frames
from switchyard.http.h2.frames import BadFrame
from switchyard.http.h2.reading import MAX_FRAME, FrameReader
from switchyard.http.h2.stream import Stream

STREAM_WINDOW = 1024 * 1024
CONNECTION_WINDOW = 4 * 1024 * 1024
_JOINED = 32 * 1024  # bytes that are cheaper to copy into one piece than to write in several
_UNSENT = 1024 * 1024  # answers to pings and the like that a peer does not read; more, and it is given up


class Connection(FrameReader):
    """What client and server sides have in common; ``goodbye`` is called once, when the socket is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.streams: dict[int, Stream] = {}
        self.initial_window = frames.DEFAULT_WINDOW
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[bytes | memoryview] = []  # written since the loop's last turn, or before there was a socket
        self._max_frame = frames.MIN_MAX_FRAME
        self._window = frames.DEFAULT_WINDOW
        self._owed = 0
        self._received = 0  # bytes that came and have not been passed on
        self._blocked: dict[int, Stream] = {}
        self._paused = False

    # -- what the two sides differ in

    def settings_acknowledged(self) -> None:
        raise NotImplementedError

    def goodbye(self) -> None:
        raise NotImplementedError

    def going_away(self) -> None:
        """The peer takes no new streams."""

    def forgotten(self) -> None:
        """A stream has ended."""

    # -- out

    def write(self, data: bytes | memoryview) -> None:
        """Sends ``data`` at the end of the loop's turn, with all else: what came together leaves together."""
        if not self._out and self._transport is not None:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is None or not out:
            return
        if sum(map(len, out)) <= _JOINED:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)

    def send(self, stream: Stream, kind: int, payload: bytes, end: bool) -> None:
        """Sends HEADERS or DATA behind what still waits for the stream's window."""
        if stream.pending or (kind == frames.DATA and len(payload) > self._room(stream)):
            stream.pending.append((kind, payload, end))
            self._drain(stream)
        else:
            self._put(stream, kind, payload, end)

    def cut(self, stream: Stream, code: int) -> None:
        """Ends a stream for which nothing more will be sent or heard."""
        if not (stream.finished and stream.heard_all):
            self.write(frames.head(4, frames.RST_STREAM, 0, stream.id) + frames.number(code))
        self._forget(stream)

    def go_away(self, last: int, code: int = frames.NO_ERROR, why: str = "") -> None:
        text = why.encode()[:200]
        self.write(frames.head(8 + len(text), frames.GOAWAY, 0, 0) + frames.number(last) + frames.number(code) + text)

    def close(self) -> None:
        """Closes the socket when what was written has left."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Closes the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def passed_on(self, stream: Stream, size: int) -> None:
        """``size`` bytes of the stream have left here, so that the peer may send as many again."""
        self._received -= size
        self._owed += size
        if self._owed > CONNECTION_WINDOW // 2:
            self.write(frames.head(4, frames.WINDOW_UPDATE, 0, 0) + frames.number(self._owed))
            self._owed = 0
        if stream.heard_all:
            return
        stream.owed += size
        if stream.owed > STREAM_WINDOW // 2:
            self.write(frames.head(4, frames.WINDOW_UPDATE, 0, stream.id) + frames.number(stream.owed))
            stream.owed = 0

    def _room(self, stream: Stream) -> int:
        return 0 if self._paused else min(self._window, stream.window)

    def _drain(self, stream: Stream) -> None:
        while stream.pending:
            kind, payload, end = stream.pending.popleft()
            if kind == frames.DATA and payload:
                room = self._room(stream)
                if room <= 0:
                    stream.pending.appendleft((kind, payload, end))
                    self._blocked[stream.id] = stream
                    return
                if room < len(payload):
                    stream.pending.appendleft((kind, payload[room:], end))
                    payload, end = payload[:room], False
            self._put(stream, kind, payload, end)

    def _drain_all(self) -> None:
        blocked, self._blocked = self._blocked, {}
        for stream in blocked.values():
            self._drain(stream)

    def _put(self, stream: Stream, kind: int, payload: bytes, end: bool) -> None:
        flags = frames.END_STREAM if end else 0
        if kind == frames.HEADERS:
            self._put_block(stream.id, payload, flags)
        else:
            self._put_data(stream, payload, flags)
        if end:
            stream.finished = True
            if stream.heard_all:
                self._forget(stream)

    def _put_block(self, number: int, block: bytes, flags: int) -> None:
        kind, limit = frames.HEADERS, self._max_frame
        while len(block) > limit:
            self.write(frames.head(limit, kind, flags, number) + block[:limit])
            kind, flags, block = frames.CONTINUATION, 0, block[limit:]
        self.write(frames.head(len(block), kind, flags | frames.END_HEADERS, number) + block)

    def _put_data(self, stream: Stream, payload: bytes, flags: int) -> None:
        size, limit = len(payload), self._max_frame
        self._window -= size
        stream.window -= size
        if size <= limit:
            self.write(frames.head(size, frames.DATA, flags, stream.id))
            self.write(payload)
        else:
            view = memoryview(payload)
            for start in range(0, size, limit):
                piece = view[start : start + limit]
                last = flags if start + limit >= size else 0
                self.write(frames.head(len(piece), frames.DATA, last, stream.id))
                self.write(piece)
        if stream.source is not None:
            stream.source.connection.passed_on(stream.source, size)

    def _forget(self, stream: Stream) -> None:
        self.streams.pop(stream.id, None)
        self._blocked.pop(stream.id, None)
        stream.finished = stream.heard_all = True
        while stream.pending:  # never to be sent: its source must not wait for that
            _, payload, _ = stream.pending.popleft()
            if stream.source is not None:
                stream.source.connection.passed_on(stream.source, len(payload))
        self.forgotten()

    # -- in

    def on_bad(self, err: BadFrame) -> None:
        self.go_away(max(self.streams, default=0), err.code, str(err))
        self.close()

    def on_control(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        handler = _CONTROL.get(kind)
        if handler is not None:  # kinds that are not known are passed over (RFC 9113 §4.1)
            handler(self, flags, number, payload)

    def _reset(self, flags: int, number: int, payload: bytes) -> None:
        code = _number(payload)
        if (stream := self.streams.get(number)) is not None:
            self._forget(stream)
            stream.half.reset(stream, code)

    def _ping(self, flags: int, number: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise BadFrame(frames.FRAME_SIZE_ERROR, "a PING of another size than eight")
        if not flags & frames.ACK:
            self._unsent_within_bounds()
            self.write(frames.head(8, frames.PING, frames.ACK, 0) + payload)

    def _goaway(self, flags: int, number: int, payload: bytes) -> None:
        self.going_away()

    def _push(self, flags: int, number: int, payload: bytes) -> None:
        raise BadFrame(frames.PROTOCOL_ERROR, "a PUSH_PROMISE, which nobody allowed")

    def on_data(self, number: int, piece: bytes, size: int, end: bool) -> None:
        self._received += size
        if self._received > CONNECTION_WINDOW + frames.DEFAULT_WINDOW:
            raise BadFrame(frames.FLOW_CONTROL_ERROR, "more data than the window allows")
        stream = self.streams.get(number)
        if stream is None or stream.heard_all:  # of a stream that was cut meanwhile
            self._received -= size
            self._owed += size
            return
        if padding := size - len(piece):
            self.passed_on(stream, padding)
        stream.heard_all = end
        stream.half.data(stream, piece, end)
        if stream.finished and end:
            self._forget(stream)

    def _widen(self, flags: int, number: int, payload: bytes) -> None:
        by = _number(payload) & frames.MAX_WINDOW
        if not number:
            self._window += by
            if self._window > frames.MAX_WINDOW:
                raise BadFrame(frames.FLOW_CONTROL_ERROR, "the connection's window is too large")
            self._drain_all()
        elif (stream := self.streams.get(number)) is not None:
            stream.window += by
            self._drain(stream)

    def _settings(self, flags: int, number: int, payload: bytes) -> None:
        if flags & frames.ACK:
            self.settings_acknowledged()
            return
        values = frames.read_settings(payload)
        self._max_frame = min(values.get(frames.MAX_FRAME_SIZE, self._max_frame), MAX_FRAME)
        window = values.get(frames.INITIAL_WINDOW_SIZE, self.initial_window)
        for stream in self.streams.values():  # RFC 9113 §6.9.2
            stream.window += window - self.initial_window
        self.initial_window = window
        self._unsent_within_bounds()
        self.write(frames.head(0, frames.SETTINGS, frames.ACK, 0))
        for stream in tuple(self.streams.values()):
            self._drain(stream)

    def _unsent_within_bounds(self) -> None:
        if self._transport is not None and self._transport.get_write_buffer_size() > _UNSENT + CONNECTION_WINDOW:
            raise BadFrame(frames.ENHANCE_YOUR_CALM, "the peer asks and does not read")

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

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._drain_all()


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
    frames.PUSH_PROMISE: Connection._push,
}
