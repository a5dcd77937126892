"""TF-IDF over a fixed vocabulary: from the terms of a text to one row of numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import log

import numpy as np
from numpy.typing import NDArray

from predictors.complexity.classifier.tokens import Text

_MAX_DIGITS = 4  # numbers with more digits count as the same term

Term = str | tuple[str, ...]
Terms = Counter[Term]
Row = tuple[NDArray[np.intp], NDArray[np.float32]]


def terms(text: Text) -> Terms:
    """Count each word, sign and pair of neighbors; a number counts as its number of digits."""
    tokens = text.tokens
    if text.numbers:
        shapes = {number: "0" * min(len(number), _MAX_DIGITS) for number in text.numbers}
        tokens = [shapes.get(token, token) for token in tokens]
    found: Terms = Counter(tokens)
    found.update(pairwise(tokens))
    return found


class Vocabulary:
    """The terms of the training texts, and the inverse document frequency of each."""

    def __init__(self, known: Sequence[str], idf: NDArray[np.float32]) -> None:
        self.terms = tuple(known)
        self.idf = idf
        self._place: dict[Term, int] = {_term(known): place for place, known in enumerate(self.terms)}

    def __len__(self) -> int:
        return len(self.terms)

    @staticmethod
    def learn(documents: Sequence[Terms], *, least: int, most: int) -> "Vocabulary":
        """Keep the ``most`` frequent terms that occur in at least ``least`` documents."""
        frequency: Terms = Counter()
        for document in documents:
            frequency.update(document.keys())
        named = [(" ".join(term) if isinstance(term, tuple) else term, count) for term, count in frequency.items()]
        kept = sorted(named, key=lambda item: (-item[1], item[0]))[:most]
        kept = [(term, count) for term, count in kept if count >= least]
        idf = [log((1 + len(documents)) / (1 + count)) + 1 for _, count in kept]
        return Vocabulary([term for term, _ in kept], np.array(idf, np.float32))

    def row(self, found: Terms) -> Row:
        """Return places and values of a text's known terms, as a vector of length 1 (empty when it has none)."""
        place = self._place
        known = [(place[term], count) for term, count in found.items() if term in place]
        if not known:
            return np.empty(0, np.intp), np.empty(0, np.float32)
        places = np.array([at for at, _ in known], np.intp)
        counts = np.array([count for _, count in known], np.float32)
        values = (1 + np.log(counts)) * self.idf[places]
        return places, values / np.float32(np.sqrt(values @ values))

    def rows(self, documents: Iterable[Terms]) -> list[Row]:
        """Return ``row`` of each document."""
        return [self.row(document) for document in documents]


def _term(text: str) -> Term:
    """Parse a term; a pair is written with a blank, which no token contains."""
    return tuple(text.split(" ")) if " " in text else text
