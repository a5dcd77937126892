"""Boosted regression trees of equal depth, evaluated together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Forest:
    """``base`` plus one leaf of each tree.

    From node ``i`` of a tree the path continues at ``2i + 1`` where ``x[feature[i]] <= threshold[i]`` and at ``2i + 2``
    otherwise; the leaves follow the inner nodes. Shapes: (trees, 2^depth - 1) twice, and (trees, 2^depth).
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    leaf: NDArray[np.float32]
    base: float

    def __call__(self, x: NDArray[np.float32]) -> float:
        """Return the value for one row of features."""
        trees, inner = self.feature.shape
        offset = np.arange(0, trees * inner, inner)
        feature, threshold = self.feature.ravel(), self.threshold.ravel()
        node = np.zeros(trees, np.intp)
        # All trees step down together: three gathers for 120 trees of depth 3, in place of 360 comparisons in Python.
        for _ in range(inner.bit_length()):
            at = offset + node
            node = 2 * node + 1 + (x[feature[at]] > threshold[at])
        return self.base + float(self.leaf[np.arange(trees), node - inner].sum())
