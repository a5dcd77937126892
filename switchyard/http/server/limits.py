"""What a server allows its clients; docs/reference/limits.md has the reasons."""

from dataclasses import dataclass

_FAIR_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLimits:
    """Sizes in bytes and times in seconds that a server allows a client; None for no limit in time.

    Sizes: ``header_bytes`` is for the headers of a request; reading pauses while ``buffer_bytes`` of its body wait for
    the handler. Counts: ``connections`` at a time (an idle one is closed for a new one), ``header_count`` in a request,
    ``pipelined`` requests that wait on a connection of HTTP/1.1, ``streams`` at a time on one of HTTP/2. Times:
    ``header_seconds`` for the headers of a request from their first byte, ``read_seconds`` for a whole request,
    ``idle_seconds`` for the pause between requests, ``stall_seconds`` for a client that takes nothing of what waits for
    it (a live stream to a client that reads has no limit); a request that has been refused is read on for
    ``linger_seconds``, so that its client sees the response. Rates: ``control_frames`` of HTTP/2 that carry nothing,
    of which ``control_frames_per_second`` come back. Memory: ``body_memory`` of all request bodies together.
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
    control_frames: int = 4096
    control_frames_per_second: int = 1024
    body_memory: int = 32 * 1024 * 1024

    @staticmethod
    def memory_for(longest: int) -> int:
        """Memory for at least four of the longest bodies, in bytes."""
        return max(ServerLimits().body_memory, 4 * longest)


class BodyMemory:
    """What the request bodies of a server's clients may take together; ``used`` is what they do, in bytes."""

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def spares(self, size: int) -> bool:
        """Whether a body of ``size`` bytes is still taken over the limit: small ones are, up to half as much again."""
        return size <= _FAIR_BYTES and self.used <= self.limit * 3 // 2
