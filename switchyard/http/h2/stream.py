"""A stream of an HTTP/2 connection, and the protocols between the stream, its connection and its handler."""

from collections import deque
from typing import Protocol

Payload = bytes | memoryview


class StreamConnection(Protocol):
    """What a stream, and the handlers on either side of a call, need of the stream's connection."""

    initial_window: int

    def send(self, stream: "Stream", kind: int, payload: bytes, end: bool) -> None: ...
    def reset_stream(self, stream: "Stream", code: int) -> None: ...
    def acknowledge(self, stream: "Stream", size: int) -> None: ...


class StreamHandler(Protocol):
    """Owns a stream, and is told what the peer sends on it."""

    def data(self, stream: "Stream", chunk: bytes, end: bool) -> None: ...
    def reset(self, stream: "Stream", code: int) -> None: ...


class Source(Protocol):
    """Produces the data that a stream sends, and produces no more of it than the stream has sent."""

    def sent(self, size: int) -> None:
        """Note that ``size`` bytes have been written or discarded; the source may produce as many again."""


Pending = deque[tuple[int, Payload, bool]]  # frames that wait: type, payload, and whether the stream ends with it

# Most streams never have to wait; a deque of its own would cost each of them 600 bytes. Nothing is ever put in here.
NOTHING: Pending = deque(maxlen=0)


class Stream:
    """One stream of a connection: its flow-control window, what waits for that window, and which sides are closed.

    ``source`` produces the data that is sent on the stream. ``remote_closed`` is set once the peer has ended its side
    (half-closed (remote) in RFC 9113 §5.1), ``local_closed`` once this side has.
    """

    __slots__ = (
        "bytes_sent",
        "connection",
        "handler",
        "id",
        "local_closed",
        "pending",
        "remote_closed",
        "source",
        "stalled",
        "unacknowledged",
        "window",
    )

    def __init__(self, connection: StreamConnection, number: int, handler: StreamHandler) -> None:
        self.connection = connection
        self.id = number
        self.handler = handler
        self.window = connection.initial_window
        self.pending = NOTHING
        self.source: Source | None = None
        self.unacknowledged = 0  # bytes received and used, for which no WINDOW_UPDATE has been sent yet
        self.bytes_sent = 0  # of DATA
        self.stalled: tuple[int, float] | None = None  # ``bytes_sent`` when it last grew, and when that was
        self.remote_closed = self.local_closed = False

    def sent(self, size: int) -> None:
        """Note that ``size`` bytes received on this stream were sent elsewhere: its peer may send as many again."""
        self.connection.acknowledge(self, size)
