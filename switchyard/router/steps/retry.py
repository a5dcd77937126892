"""How often a step is asked again."""

import random
from dataclasses import dataclass

UNAVAILABLE = frozenset((502, 503, 504))


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """At most ``attempts`` in all; pauses double from ``pause`` up to ``longest`` seconds, each cut by chance."""

    attempts: int = 3
    pause: float = 0.025
    longest: float = 0.25

    def wait(self, attempt: int) -> float:
        """Seconds to wait after the ``attempt``-th try, at least half of what it may be."""
        return float(min(self.longest, self.pause * 2 ** (attempt - 1)) * random.uniform(0.5, 1.0))  # noqa: S311 - not a secret


class RetryBudget:
    """Keeps repeats a small share of requests, so that a service in trouble is not asked several times as much.

    Each request adds ``share`` of a repeat, up to ``most``, with which it begins.
    """

    __slots__ = ("_left", "_most", "_share")

    def __init__(self, share: float = 0.2, most: float = 10.0) -> None:
        self._share = share
        self._left = self._most = most

    def earn(self) -> None:
        """A request was sent for the first time."""
        self._left = min(self._most, self._left + self._share)

    def spend(self) -> bool:
        """Takes a repeat, if one is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True
