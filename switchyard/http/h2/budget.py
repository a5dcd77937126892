"""How many frames without content a peer may send."""

import asyncio

from switchyard.http.h2.frames import ENHANCE_YOUR_CALM, ProtocolError

BURST = 4096
PER_SECOND = 1024
RESET_COST = 8  # of a request that its client cancelled, or that broke the rules: it was read and started for nothing
REQUEST_EARNS = 8  # a response that was sent whole
CHUNK_EARNS = 2  # a chunk of a body that was sent whole: some clients update both windows for each
_SAVED = 16  # times the burst: window updates lag behind the chunks that earn them


class FrameBudget:
    """Counts SETTINGS, PING, WINDOW_UPDATE, RST_STREAM, PRIORITY, empty DATA and the like against the work done.

    Each costs little and none is forbidden, but a client can send a hundred thousand a second (CVE-2019-9512, -9515,
    -9518; CVE-2023-44487). Responses and chunks that are sent earn frames, so a client that does real work never meets
    the limit; ``per_second`` frames come back without work, at most ``burst`` in all. What is earned is kept up to
    ``_SAVED`` times as much, or a client that has worked for a day could send millions at once.
    """

    __slots__ = ("_burst", "_most", "_per_second", "_refilled", "_remaining", "_time")

    def __init__(self, burst: int = BURST, per_second: int = PER_SECOND) -> None:
        self._time = asyncio.get_running_loop().time
        self._burst = burst
        self._most = _SAVED * burst
        self._per_second = per_second
        self._remaining = burst
        self._refilled = self._time()

    def earn(self, frames: int) -> None:
        self._remaining = min(self._remaining + frames, self._most)

    def spend(self, frames: int) -> None:
        """Count frames without content.

        Raises:
            ProtocolError: the peer has sent more than it may.
        """
        self._remaining -= frames
        if self._remaining < 0:  # the clock is read only here, as most frames meet a full budget
            self._refill()

    def _refill(self) -> None:
        now = self._time()
        self._remaining += min(int((now - self._refilled) * self._per_second), self._burst)
        self._refilled = now
        if self._remaining < 0:
            raise ProtocolError(ENHANCE_YOUR_CALM, "too many frames without content: send fewer")
