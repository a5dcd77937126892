"""Quality against share: how much of the reasoning tier's advantage a score keeps at each part of traffic.

APGR, CPT50 and CPT80 as defined by RouteLLM (arXiv 2406.18665, section 3), taken from the whole curve rather than from
ten points of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class Curve:
    """``quality`` (mean correctness) at each ``share`` of prompts that go to the reasoning tier, from 0 to 1.

    Prompts with the same score are taken together, and between two points any mixture of both can be had.
    """

    share: Values
    quality: Values

    @staticmethod
    def of(score: Values, fast: Values, reasoning: Values) -> "Curve":
        """The curve of a score, the hardest prompts first; ``fast`` and ``reasoning`` are correctness per prompt."""
        order = np.argsort(-score, kind="stable")
        ends = np.flatnonzero(np.diff(score[order], append=-np.inf)) + 1
        won = np.cumsum((reasoning - fast)[order])[ends - 1]
        count = len(score)
        return Curve(np.concatenate(([0.0], ends / count)), fast.mean() + np.concatenate(([0.0], won / count)))

    def at(self, share: float) -> float:
        """The quality at a share."""
        return float(np.interp(share, self.share, self.quality))

    @property
    def recovered(self) -> Values:
        """PGR: the part of the difference between the tiers that is recovered at each share."""
        first, last = self.quality[0], self.quality[-1]
        part: Values = (self.quality - first) / (last - first)
        return part

    @property
    def apgr(self) -> float:
        """The mean of PGR over all shares; 0.5 is chance."""
        return float(np.trapezoid(self.recovered, self.share))

    def cpt(self, part: float) -> float:
        """The least share at which PGR reaches ``part`` (0..1)."""
        recovered, share = self.recovered, self.share
        after = int(np.argmax(recovered >= part))
        if after == 0:
            return float(share[0])
        low, high = recovered[after - 1], recovered[after]
        return float(share[after - 1] + (part - low) / (high - low) * (share[after] - share[after - 1]))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with the bounds of its 95 % confidence interval."""

    low: float
    value: float
    high: float

    def shown(self, form: str = ".3f") -> str:
        """As a table has it."""
        return f"{self.value:{form}} ({self.low:{form}} .. {self.high:{form}})"


def bootstrap(
    measure: Callable[[Curve], float], score: Values, fast: Values, reasoning: Values, *, seed: int = 0
) -> Estimate:
    """``measure`` of the curve, with the percentiles of it over resamples of the prompts."""
    rng, count = np.random.default_rng(seed), len(score)
    drawn = []
    for _ in range(RESAMPLES):
        rows = rng.integers(0, count, count)
        curve = Curve.of(score[rows], fast[rows], reasoning[rows])
        if curve.quality[-1] > curve.quality[0]:
            drawn.append(measure(curve))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(float(low), measure(Curve.of(score, fast, reasoning)), float(high))
