"""Holds the share of requests that go to the reasoning tier, whatever prompts come."""

from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

WINDOW = 200  # scores that the quantile is taken of
SLACK = 4.0  # requests by which the count may be off: any 500 in a row are then within 2 (4 + 1) / 500 = 2 points
FORGET = 50.0  # requests: what was decided elsewhere is made up for to this amount, not for hours
RECENT = 500
WARM_UP = 100  # first decisions, which follow the expected scores alone: too few to tell a shift from chance


class Verdict(NamedTuple):
    """``bound`` says that the share decided, not the score."""

    reasoning: bool
    bound: bool


class ShareController:
    """An integral controller around the running quantile of scores.

    The threshold is the (1 - share) quantile of the last scores, moved by the count's error: by one standard deviation
    when it is off by ``SLACK`` requests. Beyond that the score no longer counts until the error is smaller again, which
    bounds the error for any sequence of scores. ``expected`` are quantiles to begin with; the count begins after
    ``WARM_UP`` decisions.
    """

    def __init__(self, share: float, expected: ArrayLike) -> None:
        self.share = share
        self._made = 0
        self._error = 0.0  # requests that went to reasoning beyond the share
        first = np.quantile(np.asarray(expected, float), (np.arange(WINDOW) + 0.5) / WINDOW)
        self._sorted = sorted(map(float, first))
        # In an order that is the same each time and has no trend: each part of the window is like the whole.
        self._scores = deque(self._sorted[(place * 83) % WINDOW] for place in range(WINDOW))
        self._recent: deque[bool] = deque(maxlen=RECENT)

    @property
    def threshold(self) -> float:
        """The score above which a text goes to the reasoning tier now."""
        at = (1 - self.share) * (WINDOW - 1)
        low, high = self._sorted[int(at)], self._sorted[min(int(at) + 1, WINDOW - 1)]
        return low + (at - int(at)) * (high - low) + self._deviation() * max(-1.0, min(1.0, self._error / SLACK))

    @property
    def current(self) -> float:
        """The share among the last decisions, at most ``RECENT``; the target before there are any."""
        return sum(self._recent) / len(self._recent) if self._recent else self.share

    def decide(self, score: float, lean: float = 0.0) -> Verdict:
        """Decides on a score and counts the decision; a ``lean`` is added to the score without becoming part of it."""
        if self.share in (0.0, 1.0):
            return Verdict(self.share == 1.0, bound=False)
        threshold, due = self.threshold, score + lean
        reasoning = due > threshold or (due == threshold and self._error < 0)
        bound = abs(self._error) >= SLACK and reasoning == (self._error > 0)
        reasoning ^= bound
        self._learn(score)
        self.count(reasoning)
        return Verdict(reasoning, bound)

    def count(self, reasoning: bool) -> None:
        """Counts a decision that was made elsewhere, so that later ones make up for it."""
        self._recent.append(reasoning)
        self._made += 1
        if self._made > WARM_UP:
            self._error = max(-FORGET, min(FORGET, self._error + reasoning - self.share))

    def _learn(self, score: float) -> None:
        oldest = self._scores.popleft()
        del self._sorted[bisect_left(self._sorted, oldest)]
        insort(self._sorted, score)
        self._scores.append(score)

    def _deviation(self) -> float:
        """Of the scores, from their quartiles, which no outlier moves (a normal distribution's are 1.349 apart)."""
        return (self._sorted[3 * WINDOW // 4] - self._sorted[WINDOW // 4]) / 1.349
