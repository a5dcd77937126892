"""Tokenizes a text into words, numbers and signs, for both surface features and terms."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(r"[^\W\d_]+(?:'[a-z]+)?|\d+(?:[.,]\d+)*|[^\w\s]|_")

# Bounds what a score costs, 0.9 ms for this many, however long a conversation grows.
MAX_CHARACTERS = 4000  # of a conversation's beginning, and again of its last turn


@dataclass(frozen=True)
class Text:
    """The input of a score: the user's side of a conversation, its last turn alone, and its number of turns."""

    whole: str
    last: str
    turns: int = 1

    @staticmethod
    def of(*turns: str) -> "Text":
        """Keep the first ``MAX_CHARACTERS`` of all turns, and those of the last turn when they are not among them."""
        whole = "\n".join(turns)
        last = turns[-1][:MAX_CHARACTERS]
        if len(whole) > MAX_CHARACTERS:
            reaches = MAX_CHARACTERS - (len(whole) - len(turns[-1]))
            whole = whole[:MAX_CHARACTERS] + ("" if reaches >= len(last) else "\n" + last)
        return Text(whole, last, len(turns))

    @cached_property
    def tokens(self) -> list[str]:
        """Words, numbers and signs in lower case, in order."""
        return _TOKEN.findall(self.whole.lower())

    @cached_property
    def counts(self) -> Counter[str]:
        """The number of occurrences of each token."""
        return Counter(self.tokens)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of occurrences of each number."""
        return {token: count for token, count in self.counts.items() if token[0].isdecimal()}

    @cached_property
    def words(self) -> int:
        """The number of tokens that are words."""
        return sum([count for token, count in self.counts.items() if token[0].isalpha()])
