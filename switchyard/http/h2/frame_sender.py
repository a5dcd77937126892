"""What a connection sends: frames, in the order in which the flow-control windows allow."""

import asyncio
import logging
from collections import OrderedDict, deque

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import NO_TABLE
from switchyard.http.h2.stream import NOTHING, Payload, Stream

logger = logging.getLogger(__name__)

_JOINED = 32 * 1024  # bytes; up to here copying frames into one write is cheaper than writing several
_SMALL = 1024  # bytes; up to here chunks are joined to their frame header, or to a pending chunk: each costs memory
_UNREAD = 4 * 1024 * 1024  # bytes of headers and control frames; a peer that leaves more of them unread is disconnected


class FrameSender:
    """Writes to the transport once there is one; DATA waits for the peer's windows, all else goes at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[Payload] = []  # written in this turn of the loop, or before there was a socket
        self._max_frame = frames.MIN_MAX_FRAME
        self.peer_limited_table = False  # the peer limited HPACK's table: the next block must say that it is empty
        self._window = frames.DEFAULT_WINDOW
        # Streams that wait only for the connection's window. Those whose own window is closed are not here: a client
        # may have hundreds of them and open the connection's window byte by byte (CVE-2019-9511).
        self._blocked: OrderedDict[int, Stream] = OrderedDict()
        self._paused = False
        self._unread = 0  # bytes written while paused

    def end_stream_sent(self, stream: Stream) -> None:
        """A frame with END_STREAM has been written."""
        raise NotImplementedError

    def chunk_sent(self) -> None:
        """A chunk given to ``send`` has been written whole."""

    def write(self, data: Payload) -> None:
        """Write ``data`` at the end of the loop's turn, with all else of this turn in one system call."""
        if self._paused:  # DATA waits then, so these are frames that do not wait
            self._unread += len(data)
            if self._unread > _UNREAD:
                self.abort()
        if not self._out and self._transport is not None:
            self._loop.call_soon(self._flush)
        self._out.append(data)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if self._transport is None or self._transport.is_closing() or not out:
            return
        try:
            if sum(map(len, out)) <= _JOINED:
                self._transport.write(b"".join(out))
            else:
                self._transport.writelines(out)
        except RuntimeError:  # uvloop's, for a peer that was lost in this turn; ``connection_lost`` comes
            logger.debug("a connection was lost before the last frames were written")

    def send(self, stream: Stream, kind: int, payload: bytes, end: bool) -> None:
        """Send HEADERS or DATA after what still waits for the stream's window."""
        if stream.local_closed:
            self._notify_source(stream, kind, payload)
        elif stream.pending or (kind == frames.DATA and len(payload) > self._room(stream)):
            self._enqueue(stream, kind, payload, end)
            self._send_pending(stream)
        else:
            if kind == frames.DATA:
                self.chunk_sent()
            self._write_frame(stream, kind, payload, end)

    def _enqueue(self, stream: Stream, kind: int, payload: bytes, end: bool) -> None:
        if stream.pending and kind == frames.DATA:
            last, before, _ = stream.pending[-1]
            if last == kind and len(before) + len(payload) <= _SMALL:
                stream.pending[-1] = (kind, b"".join((before, payload)), end)
                return
        if stream.pending is NOTHING:
            stream.pending = deque()
        stream.pending.append((kind, payload, end))

    def _notify_source(self, stream: Stream, kind: int, payload: Payload) -> None:
        """Let the source produce as much again: this was written, or never will be."""
        if kind == frames.DATA and stream.source is not None:
            stream.source.sent(len(payload))

    def go_away(self, last: int, code: int = frames.NO_ERROR, why: str = "") -> None:
        payload = frames.uint32(last) + frames.uint32(code) + why.encode()[:200]
        self.write(frames.frame_header(len(payload), frames.GOAWAY, 0, 0) + payload)

    def close(self) -> None:
        """Close the socket once what was written has been sent."""
        if self._transport is not None:
            self._flush()
            self._transport.close()

    def abort(self) -> None:
        """Close the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def _room(self, stream: Stream) -> int:
        return 0 if self._paused else min(self._window, stream.window)

    def _send_pending(self, stream: Stream) -> None:
        while stream.pending:
            kind, payload, end = stream.pending.popleft()
            if kind == frames.DATA and payload:
                room = self._room(stream)
                if room <= 0:
                    stream.pending.appendleft((kind, payload, end))
                    if stream.window > 0:
                        self._blocked[stream.id] = stream
                    return
                if room < len(payload):
                    rest = memoryview(payload)
                    stream.pending.appendleft((kind, rest[room:], end))
                    payload, end = rest[:room], False
                else:
                    self.chunk_sent()
            self._write_frame(stream, kind, payload, end)

    def _send_blocked(self) -> None:
        """Send for the blocked streams in turn: who was served last is last in the queue for the shared window."""
        while self._blocked and self._window > 0 and not self._paused:
            _, stream = self._blocked.popitem(last=False)
            self._send_pending(stream)

    def _write_frame(self, stream: Stream, kind: int, payload: Payload, end: bool) -> None:
        flags, size = frames.END_STREAM if end else 0, len(payload)
        if kind == frames.DATA:
            self._window -= size
            stream.window -= size
            stream.bytes_sent += size
            if size <= _SMALL:
                self.write(frames.FRAME_HEADER.pack(size << 8 | kind, flags, stream.id) + payload)
            else:
                self._write_data(stream.id, payload, flags)
            if stream.source is not None:
                stream.source.sent(size)
        elif size <= self._max_frame and not self.peer_limited_table:
            flags |= frames.END_HEADERS
            self.write(frames.FRAME_HEADER.pack(size << 8 | kind, flags, stream.id) + payload)
        else:
            self._write_headers(stream.id, bytes(payload), flags)
        if end:
            stream.local_closed = True
            self.end_stream_sent(stream)

    def _write_headers(self, number: int, block: bytes, flags: int) -> None:
        kind, limit = frames.HEADERS, self._max_frame
        if self.peer_limited_table:
            block, self.peer_limited_table = NO_TABLE + block, False
        while len(block) > limit:
            self.write(frames.frame_header(limit, kind, flags, number) + block[:limit])
            kind, flags, block = frames.CONTINUATION, 0, block[limit:]
        self.write(frames.frame_header(len(block), kind, flags | frames.END_HEADERS, number) + block)

    def _write_data(self, number: int, payload: Payload, flags: int) -> None:
        view, limit = memoryview(payload), self._max_frame
        for start in range(0, len(view), limit):
            chunk = view[start : start + limit]
            last = flags if start + limit >= len(view) else 0
            self.write(frames.frame_header(len(chunk), frames.DATA, last, number))
            self.write(chunk)

    # -- asyncio.Protocol

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._unread = 0
        self._send_blocked()
