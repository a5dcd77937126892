"""A stream of a connection, and what is said between the two."""

from collections import deque
from typing import Protocol

Payload = bytes | memoryview


class Carrier(Protocol):
    """What a stream needs of its connection, and the call on it of either side."""

    initial_window: int

    def send(self, stream: "Stream", kind: int, payload: bytes, end: bool) -> None: ...
    def cut(self, stream: "Stream", code: int) -> None: ...
    def passed_on(self, stream: "Stream", size: int) -> None: ...


class Half(Protocol):
    """What a stream's owner hears: the call of which it is one side."""

    def data(self, stream: "Stream", piece: bytes, end: bool) -> None: ...
    def reset(self, stream: "Stream", code: int) -> None: ...


class Source(Protocol):
    """Where data comes from that a stream sends."""

    def left(self, size: int) -> None:
        """So many bytes have been written, or never will be: there is room for as many."""


class Stream:
    """A stream of one connection; ``source`` is where the data comes from that is sent on it."""

    __slots__ = (
        "connection",
        "finished",
        "half",
        "heard_all",
        "id",
        "owed",
        "pending",
        "sent",
        "source",
        "stalled",
        "window",
    )

    def __init__(self, connection: Carrier, number: int, half: Half) -> None:
        self.connection = connection
        self.id = number
        self.half = half
        self.window = connection.initial_window
        self.pending: deque[tuple[int, Payload, bool]] = deque()
        self.source: Source | None = None
        self.owed = 0  # bytes passed on for which the peer has had no new window yet
        self.sent = 0  # bytes of data
        self.stalled: tuple[int, float] | None = None  # ``sent`` and the time when it was last seen to make headway
        self.heard_all = self.finished = False

    def left(self, size: int) -> None:
        """What came from this stream has been written elsewhere: its peer may send as much again."""
        self.connection.passed_on(self, size)
