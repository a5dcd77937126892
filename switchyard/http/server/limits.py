"""What a server allows its clients: sizes, counts, times, rates and memory."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLimits:
    """Sizes in bytes and times in seconds that a server allows a client; None for no limit in time.

    ``header_seconds`` is for the headers of a request from their first byte, ``read_seconds`` for a whole request, and
    ``idle_seconds`` for the pause between requests; ``stall_seconds`` for a client that takes nothing of what waits for
    it (a live stream to a client that reads has no limit). ``linger_seconds`` is how long a request that was already
    responded to with an error is read on, so that its client sees the error. Reading pauses while ``buffer_bytes`` of
    a body wait for the handler.
    """

    header_bytes: int = 64 * 1024
    buffer_bytes: int = 256 * 1024
    streams: int = 1000
    control_frames: int = 4096
    control_frames_per_second: int = 1024
    header_seconds: float | None = 10.0
    read_seconds: float | None = 60.0
    idle_seconds: float | None = 180.0
    stall_seconds: float | None = 60.0
    linger_seconds: float = 2.0
