"""Runs a flood from plain sockets and tells what the server said to it."""

import re
import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from switchyard.http.h2 import frames

CODES = {
    code: name
    for name, code in vars(frames).items()
    if name.endswith(("_ERROR", "_STREAM", "_CALM", "CANCEL", "_CLOSED")) and name not in ("END_STREAM", "RST_STREAM")
}
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_READ = 256 * 1024
_SETTLE_SECONDS = 2.0  # to read on, so that clients which read nothing see whether they were closed
_UNREAD_BUFFER = 4096  # bytes that the system takes for a client that reads nothing
_LEAST_SECONDS = 0.3  # of a flood that ends as it should at once
_CONNECTIONS = 4000  # opened one after the other in place of those that were closed


@dataclass(frozen=True, kw_only=True)
class Flood:
    """What each of ``connections`` does: ``begin``, and then ``again`` of 0, 1, 2 … as fast as the server reads.

    ``pause`` is in seconds before each ``again``. Without ``reads`` nothing that the server sends is taken. ``end`` is
    what a server of ours does at the latest: a status, ``GOAWAY`` or ``RST_STREAM`` with its code, ``closed``, or
    ``responses`` (of HTTP/2) where it serves as any other client.
    """

    name: str
    begin: bytes
    again: Callable[[int], bytes] | None = None
    end: str
    connections: int = 1
    pause: float = 0.0
    reads: bool = True

    @property
    def http2(self) -> bool:
        return self.begin.startswith(frames.PREFACE)


@dataclass
class Outcome:
    """What became of a flood's connections; ``said`` counts statuses, codes of GOAWAY and of RST_STREAM."""

    opened: int = 0
    closed: int = 0
    sent: int = 0
    said: Counter[str] = field(default_factory=Counter)

    def has(self, end: str) -> bool:
        """Whether some connection ended in this way."""
        return self.closed > 0 if end == "closed" else self.said[end] > 0

    def __str__(self) -> str:
        said = [f"{what} x {count}" for what, count in self.said.most_common(3)]
        return ", ".join([*said, f"{self.closed} of {self.opened} closed"])


class _Client:
    """One connection."""

    def __init__(self, flood: Flood, port: int, outcome: Outcome) -> None:
        self._flood, self._outcome = flood, outcome
        self._out = memoryview(flood.begin)
        self._count = 0
        self._in = b""
        self._next_at = 0.0
        self.socket = socket.socket()
        if not flood.reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD_BUFFER)
        self.socket.settimeout(2)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        outcome.opened += 1

    def events(self, now: float) -> int:
        """What to wait for; an end is told in any case."""
        reads = select.EPOLLIN if self._flood.reads else 0
        writes = (self._out or self._flood.again is not None) and now >= self._next_at
        return reads | (select.EPOLLOUT if writes else 0)

    def write(self, now: float) -> None:
        """Raise ``OSError`` when the server has closed."""
        if not self._out and self._flood.again is not None:
            self._out = memoryview(self._flood.again(self._count))
            self._count += 1
        with suppress(BlockingIOError):
            size = self.socket.send(self._out)
            self._outcome.sent += size
            self._out = self._out[size:]
        if not self._out:
            self._next_at = now + self._flood.pause

    def read(self) -> bool:
        """Return False at the end; raises ``OSError`` as ``write``."""
        try:
            data = self.socket.recv(_READ)
        except BlockingIOError:
            return True
        self._count_responses(data)
        return bool(data)

    def read_rest(self) -> None:
        """Read what came before the end: a failed write says nothing of it."""
        with suppress(OSError):
            while data := self.socket.recv(_READ):
                self._count_responses(data)

    def ends_until(self, end: float) -> bool:
        """Read on, now with room for much, and say whether the server has closed the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _READ)
        try:
            while (left := end - time.monotonic()) > 0:
                self.socket.settimeout(left)
                if not self.read():
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True
        return False

    def _count_responses(self, data: bytes) -> None:
        if self._flood.http2:
            self._in = self._read_frames(self._in + data)
        else:
            self._outcome.said.update(found.decode() for found in _STATUS.findall(data))

    def _read_frames(self, data: bytes) -> bytes:
        at = 0
        while len(data) - at >= frames.FRAME_HEADER_BYTES:
            end = at + frames.FRAME_HEADER_BYTES + int.from_bytes(data[at : at + 3], "big")
            kind = data[at + 3]
            if len(data) < end:
                break
            if kind in (frames.GOAWAY, frames.RST_STREAM):
                start = at + frames.FRAME_HEADER_BYTES + (4 if kind == frames.GOAWAY else 0)
                code = int.from_bytes(data[start : start + 4], "big")
                name = "GOAWAY" if kind == frames.GOAWAY else "RST_STREAM"
                self._outcome.said[f"{name} {CODES.get(code, code)}"] += 1
            elif kind == frames.HEADERS:
                self._outcome.said["responses"] += 1
            at = end
        return data[at:]


class _Attack:
    """A flood under way."""

    def __init__(self, flood: Flood, port: int, *, again: bool) -> None:
        self.outcome = Outcome()
        self._flood, self._port, self._again = flood, port, again
        self._poll = select.epoll()
        self.clients: dict[int, _Client] = {}
        for _ in range(flood.connections):
            self._open()

    def _open(self) -> None:
        with suppress(OSError):
            client = _Client(self._flood, self._port, self.outcome)
            self._poll.register(client.socket, client.events(0.0))
            self.clients[client.socket.fileno()] = client

    def _close(self, client: _Client) -> None:
        if self._flood.reads:
            client.read_rest()
        del self.clients[client.socket.fileno()]
        client.socket.close()
        self.outcome.closed += 1

    def turn(self) -> None:
        now = time.monotonic()
        if self._flood.pause:
            for client in self.clients.values():
                self._poll.modify(client.socket, client.events(now))
        for number, events in self._poll.poll(0.02):
            client = self.clients[number]
            try:
                if events & select.EPOLLOUT:
                    client.write(now)
                    self._poll.modify(client.socket, client.events(now))
                open_still = not events & (select.EPOLLIN | select.EPOLLHUP) or client.read()
            except OSError:
                open_still = False
            if not open_still:
                self._close(client)
                if self._again and self.outcome.opened < _CONNECTIONS + self._flood.connections:
                    self._open()

    def stop(self) -> None:
        """Close what is open; clients that read nothing look first whether the server has closed them."""
        end = time.monotonic() + (0 if self._flood.reads else _SETTLE_SECONDS)
        for client in tuple(self.clients.values()):
            self.outcome.closed += client.ends_until(end)
            client.socket.close()
        self._poll.close()


def attack(flood: Flood, port: int, seconds: float, *, again: bool) -> Outcome:
    """Run ``flood`` for so long, opening ``again`` what the server closes, or else until it ends as it should."""
    running = _Attack(flood, port, again=again)
    began = now = time.monotonic()
    while running.clients and now < began + seconds:
        if not again and now > began + _LEAST_SECONDS and running.outcome.has(flood.end):
            break
        running.turn()
        now = time.monotonic()
    running.stop()
    return running.outcome
