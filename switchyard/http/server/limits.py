"""The limits of a server; docs/reference/limits.md has the reasons."""

from dataclasses import dataclass

from switchyard.http.body_memory import BESIDE_BYTES


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLimits:
    """Limits of a server: sizes in bytes, times in seconds; None for no limit in time.

    Sizes: ``header_bytes`` of a request's headers; reading pauses while ``buffer_bytes`` of its body wait for the
    handler. Counts: ``connections`` at a time (an idle one is closed for a new one), ``header_count`` in a request,
    ``pipelined`` requests that wait on an HTTP/1.1 connection, ``streams`` at a time on an HTTP/2 connection. Times:
    ``header_seconds`` for a request's headers from their first byte, ``read_seconds`` for a whole request,
    ``idle_seconds`` between requests, ``stall_seconds`` for a client that takes nothing of what waits for it (a stream
    to a client that reads has no limit), ``linger_seconds`` for reading on after an early error response, so that the
    client sees it. Of a WebSocket: ``message_bytes`` of a message, which has ``read_seconds``; ``ping_seconds`` between
    two PINGs, and twice as many until a client that is silent is taken for lost; ``quiet_seconds`` without a message
    or work. Rates: ``control_frames`` of HTTP/2 and WebSocket without content, of which ``control_frames_per_second``
    come back. Memory: ``body_memory`` of all request bodies together.
    """

    header_bytes: int = 64 * 1024
    buffer_bytes: int = 256 * 1024
    connections: int = 16 * 1024
    header_count: int = 256
    pipelined: int = 256
    streams: int = 1000
    header_seconds: float | None = 10.0
    read_seconds: float | None = 60.0
    idle_seconds: float | None = 180.0
    stall_seconds: float | None = 60.0
    linger_seconds: float = 2.0
    message_bytes: int = 1024 * 1024
    ping_seconds: float | None = 20.0
    quiet_seconds: float | None = 300.0
    control_frames: int = 4096
    control_frames_per_second: int = 1024
    body_memory: int = 32 * 1024 * 1024

    @staticmethod
    def memory_for(longest: int) -> int:
        """Return memory for the longest body and shorter ones beside it, in bytes."""
        return max(ServerLimits().body_memory, longest + BESIDE_BYTES)
