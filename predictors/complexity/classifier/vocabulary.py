"""TF-IDF over a fixed vocabulary: terms of a text to one row of numbers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import log

import numpy as np
from numpy.typing import NDArray

from predictors.complexity.classifier.tokens import Text

_LONGEST_NUMBER = 4  # digits that are told apart

Term = str | tuple[str, ...]
Terms = Counter[Term]
Row = tuple[NDArray[np.intp], NDArray[np.float32]]


def terms(text: Text) -> Terms:
    """How often each word, sign and pair of neighbours occurs; a number counts as its number of digits."""
    tokens = text.tokens
    if text.numbers:
        shapes = {number: "0" * min(len(number), _LONGEST_NUMBER) for number in text.numbers}
        tokens = [shapes.get(token, token) for token in tokens]
    found: Terms = Counter(tokens)
    found.update(pairwise(tokens))
    return found


class Vocabulary:
    """Terms that were seen in training, as text, and how telling each is (inverse document frequency)."""

    def __init__(self, known: Sequence[str], idf: NDArray[np.float32]) -> None:
        self.terms = tuple(known)
        self.idf = idf
        self._place: dict[Term, int] = {_term(known): place for place, known in enumerate(self.terms)}

    def __len__(self) -> int:
        return len(self.terms)

    @staticmethod
    def learn(documents: Sequence[Terms], *, least: int, most: int) -> "Vocabulary":
        """The ``most`` frequent terms that occur in at least ``least`` documents."""
        frequency: Terms = Counter()
        for document in documents:
            frequency.update(document.keys())
        named = [(" ".join(term) if isinstance(term, tuple) else term, count) for term, count in frequency.items()]
        kept = sorted(named, key=lambda item: (-item[1], item[0]))[:most]
        kept = [(term, count) for term, count in kept if count >= least]
        idf = [log((1 + len(documents)) / (1 + count)) + 1 for _, count in kept]
        return Vocabulary([term for term, _ in kept], np.array(idf, np.float32))

    def row(self, found: Terms) -> Row:
        """Places and values of the known terms of a text, as a vector of length 1 (empty when it has none)."""
        place = self._place
        known = [(place[term], count) for term, count in found.items() if term in place]
        if not known:
            return np.empty(0, np.intp), np.empty(0, np.float32)
        places = np.array([at for at, _ in known], np.intp)
        counts = np.array([count for _, count in known], np.float32)
        values = (1 + np.log(counts)) * self.idf[places]
        return places, values / np.float32(np.sqrt(values @ values))

    def rows(self, documents: Iterable[Terms]) -> list[Row]:
        """``row`` of each."""
        return [self.row(document) for document in documents]


def _term(text: str) -> Term:
    """A pair is written with a blank, which no token holds."""
    return tuple(text.split(" ")) if " " in text else text
