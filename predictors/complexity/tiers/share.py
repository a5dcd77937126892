"""Holds the share of requests that go to the reasoning tier, whatever the prompts are."""

from bisect import bisect_left, insort
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

WINDOW = 200  # the number of scores that the quantile is computed from
SLACK = 4.0  # the largest error of the count in requests: any 500 in a row are then within 2 (4 + 1) / 500 = 2 points
FORGET = 50.0  # requests: decisions by rules are compensated up to this amount, not for hours
RECENT = 500
WARM_UP = 100  # the first decisions follow the expected scores alone: too few to tell a shift from chance


class ShareDecision(NamedTuple):
    """``clamped`` says that the share decided, not the score."""

    reasoning: bool
    clamped: bool


class ShareController:
    """An integral controller around the running quantile of scores.

    The threshold is the (1 - share) quantile of the last scores, shifted by the count's error: by one standard
    deviation when it is off by ``SLACK`` requests. Beyond that the score is ignored until the error is smaller again,
    which bounds the error for any sequence of scores. ``expected`` are the quantiles to begin with; counting begins
    after ``WARM_UP`` decisions.
    """

    def __init__(self, share: float, expected: ArrayLike) -> None:
        self.share = share
        self._made = 0
        self._error = 0.0  # requests that went to reasoning beyond the share
        first = np.quantile(np.asarray(expected, float), (np.arange(WINDOW) + 0.5) / WINDOW)
        self._sorted = sorted(map(float, first))
        # In a fixed order without a trend: each part of the window is distributed like the whole.
        # 83 and ``WINDOW`` have no common factor, so each score comes once.
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

    def decide(self, score: float, bias: float = 0.0) -> ShareDecision:
        """Decide on a score and count the decision; ``bias`` is added to the score without becoming part of it."""
        if self.share in (0.0, 1.0):
            return ShareDecision(self.share == 1.0, clamped=False)
        threshold, biased = self.threshold, score + bias
        # Scores that are all equal are shared out by the count: else none of them would go to reasoning.
        reasoning = biased > threshold or (biased == threshold and self._error < 0)
        clamped = abs(self._error) >= SLACK and reasoning == (self._error > 0)
        reasoning ^= clamped
        # Learned in either case: the quantile describes the traffic, not the decisions.
        self._learn(score)
        self.count(reasoning)
        return ShareDecision(reasoning, clamped)

    def count(self, reasoning: bool) -> None:
        """Count a decision by a rule, so that later decisions compensate for it."""
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
        """Estimate the scores' deviation from their quartiles, which outliers do not move (normal: 1.349 apart)."""
        return (self._sorted[3 * WINDOW // 4] - self._sorted[WINDOW // 4]) / 1.349
