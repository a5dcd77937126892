"""What a client allows an upstream, and a server its clients: sizes and times."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Sizes and counts; connection counts are per origin (scheme, host and port).

    ``idle`` connections are kept for ``idle_seconds``; at most ``connects`` are being opened at once. ``header_bytes``
    bounds an answer's head, ``answer_bytes`` what ``Response.read`` gathers. Reading from the socket pauses while
    ``buffer_bytes`` wait for the consumer.
    """

    idle: int = 256
    idle_seconds: float = 30.0
    connects: int = 64
    header_bytes: int = 64 * 1024
    answer_bytes: int = 64 * 1024 * 1024
    buffer_bytes: int = 256 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadlines:
    """Seconds, or None for no deadline.

    ``connect`` covers name look-up, TCP and TLS; ``first_byte`` from sending until the answer's head is complete;
    ``idle`` the gap between two reads of its body (not counted while the consumer lags); ``total`` all of it.
    """

    connect: float | None = 5.0
    first_byte: float | None = 600.0
    idle: float | None = 300.0
    total: float | None = None
