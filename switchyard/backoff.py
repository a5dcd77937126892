"""Pauses between attempts, for whoever tries again."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses that double from ``first`` to ``most`` seconds, each cut by chance by up to half.

    Chance keeps those that failed together from trying again together. Source ("equal jitter"):
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: float
    most: float

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after ``failures`` in a row, of which there is one at least."""
        longest = min(self.first * 2.0 ** min(failures - 1, 32), self.most)
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


@dataclass(kw_only=True, slots=True)
class ConsecutiveFailures:
    """Counts failures since the last success, and says how long to wait after each."""

    backoff: Backoff = Backoff(first=0.5, most=30.0)
    count: int = 0

    def add(self) -> float:
        """Count a failure and return the seconds to wait before the next attempt."""
        self.count += 1
        return self.backoff.pause(self.count)

    def reset(self) -> None:
        """Forget the failures, after a success."""
        self.count = 0
