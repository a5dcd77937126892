"""A text cut into words, numbers and signs: the one reading that surface features and terms share."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

_TOKEN = re.compile(r"[^\W\d_]+(?:'[a-z]+)?|\d+(?:[.,]\d+)*|[^\w\s]|_")

MOST_CHARACTERS = 4000  # read of a conversation's beginning, and again of its last turn


@dataclass(frozen=True)
class Text:
    """What a score is made from: the user's side of a conversation, its last turn alone, and its number of turns."""

    whole: str
    last: str
    turns: int = 1

    @staticmethod
    def of(*turns: str) -> "Text":
        """The first ``MOST_CHARACTERS`` of all turns, and those of the last one if they are not among them."""
        whole = "\n".join(turns)
        last = turns[-1][:MOST_CHARACTERS]
        if len(whole) > MOST_CHARACTERS:
            reaches = MOST_CHARACTERS - (len(whole) - len(turns[-1]))
            whole = whole[:MOST_CHARACTERS] + ("" if reaches >= len(last) else "\n" + last)
        return Text(whole, last, len(turns))

    @cached_property
    def tokens(self) -> list[str]:
        """Words, numbers and signs in lower case, in order."""
        return _TOKEN.findall(self.whole.lower())

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each token occurs."""
        return Counter(self.tokens)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """How often each number occurs."""
        return {token: count for token, count in self.counts.items() if token[0].isdecimal()}

    @cached_property
    def words(self) -> int:
        """How many tokens are words."""
        return sum([count for token, count in self.counts.items() if token[0].isalpha()])
