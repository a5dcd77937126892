"""What a connection sends: frames in the order in which windows let them go."""

import asyncio
from collections import OrderedDict

from switchyard.http.h2 import frames
from switchyard.http.h2.fields import NO_TABLE
from switchyard.http.h2.stream import Payload, Stream

_JOINED = 32 * 1024  # bytes that are cheaper to copy into one piece than to write in several
_SMALL = 1024  # bytes of data; what waits is gathered up to that, as each piece costs memory besides
_UNREAD = 4 * 1024 * 1024  # bytes of heads and control frames that a peer does not read; more, and it is given up


class Sender:
    """Writes to the transport once there is one; data waits for the peer's windows, all else goes at once."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._out: list[Payload] = []  # written since the loop's last turn, or before there was a socket
        self._max_frame = frames.MIN_MAX_FRAME
        self.table_limited = False  # the peer has set a limit for the table of header fields, and waits to be told ours
        self._window = frames.DEFAULT_WINDOW
        # Streams with data for which only the connection has no room. Those whose own window is shut are not here: a
        # client may have hundreds of them and widen the connection's window byte by byte (CVE-2019-9511).
        self._blocked: OrderedDict[int, Stream] = OrderedDict()
        self._paused = False
        self._unread = 0  # bytes written since then

    def sent_all(self, stream: Stream) -> None:
        """The stream's last frame has been written."""
        raise NotImplementedError

    def delivered(self) -> None:
        """A chunk of data, as it was given to ``send``, has been written whole."""

    def write(self, data: Payload) -> None:
        """Sends ``data`` at the end of the loop's turn, with all else: what came together leaves together."""
        if self._paused:  # data waits then, so this is what waits for nothing
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
        if sum(map(len, out)) <= _JOINED:
            self._transport.write(b"".join(out))
        else:
            self._transport.writelines(out)

    def send(self, stream: Stream, kind: int, payload: bytes, end: bool) -> None:
        """Sends HEADERS or DATA behind what still waits for the stream's window."""
        if stream.finished:
            self._release(stream, kind, payload)
        elif stream.pending or (kind == frames.DATA and len(payload) > self._room(stream)):
            self._hold(stream, kind, payload, end)
            self._drain(stream)
        else:
            if kind == frames.DATA:
                self.delivered()
            self._put(stream, kind, payload, end)

    def _hold(self, stream: Stream, kind: int, payload: bytes, end: bool) -> None:
        if stream.pending and kind == frames.DATA:
            last, before, _ = stream.pending[-1]
            if last == kind and len(before) + len(payload) <= _SMALL:
                stream.pending[-1] = (kind, b"".join((before, payload)), end)
                return
        stream.pending.append((kind, payload, end))

    def _release(self, stream: Stream, kind: int, payload: Payload) -> None:
        """Lets the source of data send as much again, which has been written or never will be."""
        if kind == frames.DATA and stream.source is not None:
            stream.source.left(len(payload))

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

    def _room(self, stream: Stream) -> int:
        return 0 if self._paused else min(self._window, stream.window)

    def _drain(self, stream: Stream) -> None:
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
                    self.delivered()
            self._put(stream, kind, payload, end)

    def _drain_all(self) -> None:
        """In turn: who was served last waits behind the others for the next room that all share."""
        while self._blocked and self._window > 0 and not self._paused:
            _, stream = self._blocked.popitem(last=False)
            self._drain(stream)

    def _put(self, stream: Stream, kind: int, payload: Payload, end: bool) -> None:
        flags = frames.END_STREAM if end else 0
        if kind == frames.HEADERS:
            self._put_block(stream.id, bytes(payload), flags)
        else:
            self._put_data(stream, payload, flags)
        if end:
            stream.finished = True
            self.sent_all(stream)

    def _put_block(self, number: int, block: bytes, flags: int) -> None:
        kind, limit = frames.HEADERS, self._max_frame
        if self.table_limited:
            block, self.table_limited = NO_TABLE + block, False
        while len(block) > limit:
            self.write(frames.head(limit, kind, flags, number) + block[:limit])
            kind, flags, block = frames.CONTINUATION, 0, block[limit:]
        self.write(frames.head(len(block), kind, flags | frames.END_HEADERS, number) + block)

    def _put_data(self, stream: Stream, payload: Payload, flags: int) -> None:
        size, limit = len(payload), self._max_frame
        self._window -= size
        stream.window -= size
        stream.sent += size
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
        self._release(stream, frames.DATA, payload)

    # -- asyncio.Protocol

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._unread = 0
        self._drain_all()
