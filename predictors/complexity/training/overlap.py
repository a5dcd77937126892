"""Leaves out training rows that are likely to have a twin in a public benchmark."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from predictors.complexity.classifier.tokens import Text
from predictors.complexity.training.labels import Labels

GRAM = 8
RARE = 10  # rows; a longer run of words in more rows than that is an instruction, not a question
MOST_SHARED = 0.3


def distinct(sets: Sequence[Labels]) -> list[Labels]:
    """Drop each row that shares more than ``MOST_SHARED`` of its rare 8-grams with another row of any set.

    The sets are parts of public benchmarks: passages and patterns that recur within them recur in the rest of those
    benchmarks too, and a model that knows them looks better there than it is.
    """
    grams = [[_grams(text) for text in labels.texts] for labels in sets]
    occurs = Counter(gram for rows in grams for row in rows for gram in row)
    kept = [np.array([_shared(row, occurs) <= MOST_SHARED for row in rows]) for rows in grams]
    return [labels.take(np.flatnonzero(keep)) for labels, keep in zip(sets, kept, strict=True)]


def _grams(text: Text) -> set[int]:
    """Return the hashes of all runs of ``GRAM`` tokens, which are comparable within this process."""
    tokens = text.tokens
    return {hash(tuple(tokens[start : start + GRAM])) for start in range(len(tokens) - GRAM + 1)}


def _shared(row: set[int], occurs: Counter[int]) -> float:
    rare = [occurs[gram] for gram in row if occurs[gram] <= RARE]
    return sum(count > 1 for count in rare) / (len(rare) or 1)
