"""Sizes, counts and times that the client allows an upstream."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Sizes in bytes and counts per origin (scheme, host and port).

    Up to ``max_keepalive_connections`` idle connections are kept for ``keepalive_expiry`` seconds; at most
    ``max_connecting`` are being opened at once. ``header_bytes`` bounds a response's headers, ``response_bytes`` what
    ``Response.read`` gathers. Reading from the socket pauses while ``buffer_bytes`` wait for the consumer.
    """

    max_keepalive_connections: int = 256
    keepalive_expiry: float = 30.0
    max_connecting: int = 64
    header_bytes: int = 64 * 1024
    response_bytes: int = 64 * 1024 * 1024
    buffer_bytes: int = 256 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """Seconds, or None for no timeout.

    ``connect`` covers name lookup, TCP and TLS; ``first_byte`` the time from sending until the response's headers are
    complete; ``idle`` the gap between two reads of its body (the clock stops while the consumer lags); ``total`` the
    whole exchange.
    """

    connect: float | None = 5.0
    first_byte: float | None = 600.0
    idle: float | None = 300.0
    total: float | None = None
