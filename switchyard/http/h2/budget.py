"""What a peer may spend on frames that carry nothing."""

import asyncio

from switchyard.http.h2.frames import ENHANCE_YOUR_CALM, BadFrame

BURST = 4096
PER_SECOND = 1024
RESET_COST = 8  # of a request that is given up, or that broke the rules: it was read, begun and ended for nothing
REQUEST_EARNS = 8  # a response that left whole
CHUNK_EARNS = 2  # a chunk of a body that left whole: some clients widen both windows for each


class FrameBudget:
    """Counts SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, PRIORITY, empty DATA and the like against what they served.

    Each costs little and none is forbidden, but a client can send a hundred thousand a second (CVE-2019-9512, -9515,
    -9518; CVE-2023-44487). Frames that go with work are paid for by the work, so that the bounds meet nobody who asks
    for something: responses and chunks that leave earn some, and ``per_second`` come back by themselves, at most
    ``burst`` in all.
    """

    __slots__ = ("_burst", "_left", "_per_second", "_refilled", "_time")

    def __init__(self, burst: int = BURST, per_second: int = PER_SECOND) -> None:
        self._time = asyncio.get_running_loop().time
        self._burst = burst
        self._per_second = per_second
        self._left = burst
        self._refilled = self._time()

    def earn(self, frames: int) -> None:
        self._left += frames

    def spend(self, frames: int) -> None:
        """Raise ``BadFrame`` when the peer has spent all it may."""
        self._left -= frames
        if self._left < 0:
            self._refill()

    def _refill(self) -> None:
        now = self._time()
        self._left += min(int((now - self._refilled) * self._per_second), self._burst)
        self._refilled = now
        if self._left < 0:
            raise BadFrame(ENHANCE_YOUR_CALM, "too many frames that carry nothing: send fewer")
