"""What a server allows its clients: sizes and times."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerLimits:
    """Sizes in bytes and times in seconds that a server allows a client; None for no limit in time.

    ``read_seconds`` is for a whole request, head and body, from its first byte; ``idle_seconds`` for the pause between
    requests; ``stall_seconds`` for a client that takes nothing of what waits for it (a live stream to a client that
    reads has no limit). ``linger_seconds`` is how long an already refused request is read on, so that its client sees
    the refusal. Reading pauses while ``buffer_bytes`` of a body wait for the handler.
    """

    header_bytes: int = 64 * 1024
    buffer_bytes: int = 256 * 1024
    read_seconds: float | None = 60.0
    idle_seconds: float | None = 180.0
    stall_seconds: float | None = 60.0
    linger_seconds: float = 2.0
