"""A bound on how many folders are judged at a time, and who goes next."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from switchyard.sync.folders import ModelKey

COSTLY_SECONDS = 2.0  # of a slot, lately: large, endless, or changed again and again
HALF_LIFE_SECONDS = 60.0  # after which a second counts half
_FORGOTTEN_SECONDS = 0.05
_BYTES_PER_SECOND = 500e6  # of a copy and its SHA-256, on a disk of this machine


@dataclass(frozen=True, slots=True)
class _Waiting:
    key: ModelKey
    changed: float
    expected: float
    turn: asyncio.Future[None]


class FairSlots:
    """Lets ``slots`` folders in at a time: those that took little of it lately first, of these the newest change.

    Costly ones go in the order of what they took, and never hold the last slot: what is new needs not wait for them.
    """

    def __init__(self, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._clock = clock
        self._held: dict[ModelKey, bool] = {}  # whether it was costly when it was let in
        self._waiting: list[_Waiting] = []
        self._spent: dict[ModelKey, tuple[float, float]] = {}  # seconds, and as of when

    @asynccontextmanager
    async def slot(self, key: ModelKey, changed: float, size: int = 0) -> AsyncIterator[None]:
        """Hold a slot; ``changed`` is the time of the folder's last change, ``size`` its bytes."""
        waiting = _Waiting(key, changed, size / _BYTES_PER_SECOND, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._admit()
        try:
            await waiting.turn
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:  # its turn came at the same moment
                self._release(key)
            raise
        began = self._clock()
        try:
            yield
        finally:
            self._spend(key, self._clock() - began)
            self._release(key)

    def spent(self, key: ModelKey) -> float:
        """Return the seconds for which a folder held a slot, of which half count after each minute."""
        seconds, at = self._spent.get(key, (0.0, 0.0))
        return float(seconds * 0.5 ** ((self._clock() - at) / HALF_LIFE_SECONDS))

    def _spend(self, key: ModelKey, seconds: float) -> None:
        self._spent[key] = (self.spent(key) + seconds, self._clock())
        for other in [other for other in self._spent if self.spent(other) < _FORGOTTEN_SECONDS]:
            del self._spent[other]

    def _release(self, key: ModelKey) -> None:
        del self._held[key]
        self._admit()

    def _admit(self) -> None:
        # Done: its task was cancelled in this turn of the loop, and removes it.
        while (waiting := [one for one in self._waiting if not one.turn.done()]) and len(self._held) < self._slots:
            following = min(waiting, key=self._rank)
            is_costly = self._cost(following) >= COSTLY_SECONDS
            if is_costly and sum(self._held.values()) >= max(1, self._slots - 1):
                return
            self._waiting.remove(following)
            self._held[following.key] = is_costly
            following.turn.set_result(None)

    def _rank(self, waiting: _Waiting) -> tuple[float, float]:
        cost = self._cost(waiting)
        return cost if cost >= COSTLY_SECONDS else 0.0, -waiting.changed

    def _cost(self, waiting: _Waiting) -> float:
        return max(self.spent(waiting.key), waiting.expected)
