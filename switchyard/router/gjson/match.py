"""Wildcards: ``*`` is any run of characters, ``?`` is one, ``\\`` makes the next one plain.

The rules are those of github.com/tidwall/match v1.1.1, on characters (what is no UTF-8 counts as U+FFFD byte by byte).
Upstream stops at 10,000 steps per byte and says "no match"; this never has to, as no part is searched twice.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

_BROKEN = dict.fromkeys(range(0xDC80, 0xDD00), "\ufffd")


def matches(text: str, pattern: str) -> bool:
    """Whether ``pattern`` matches all of ``text``; both have one character per byte."""
    if pattern == "*":
        return True
    glob = _compiled(pattern)
    return glob is not None and glob.fits(_runes(text))


@dataclass(frozen=True, slots=True)
class _Glob:
    """What stands before the first star, between stars and after the last; without stars, ``tail`` is None."""

    head: re.Pattern[str]
    between: tuple[re.Pattern[str], ...]
    tail: re.Pattern[str] | None
    tail_length: int

    def fits(self, text: str) -> bool:
        if self.tail is None:
            return self.head.fullmatch(text) is not None
        start = self.head.match(text)
        end = len(text) - self.tail_length
        if start is None or start.end() > end or self.tail.match(text, end) is None:
            return False
        position = start.end()
        # The leftmost place of each part is enough: the star before it takes any text, and more remains for the others.
        for part in self.between:
            found = part.search(text, position, end)
            if found is None:
                return False
            position = found.end()
        return True


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> _Glob | None:
    """None if nothing can match: a backslash that makes nothing plain, unless a star stands before it."""
    parts: list[list[str]] = [[]]
    chars = iter(_runes(pattern))
    for char in chars:
        if char == "*":
            parts.append([])
        elif char == "?":
            parts[-1].append(".")
        elif char == "\\":
            plain = next(chars, "\\" if len(parts) > 1 else None)
            if plain is None:
                return None
            parts[-1].append(re.escape(plain))
        else:
            parts[-1].append(re.escape(char))
    head, *rest = ["".join(part) for part in parts]
    return _Glob(
        head=re.compile(head, re.DOTALL),
        between=tuple(re.compile(part, re.DOTALL) for part in rest[:-1] if part),
        tail=re.compile(rest[-1], re.DOTALL) if rest else None,
        tail_length=len(parts[-1]) if rest else 0,
    )


def _runes(text: str) -> str:
    if text.isascii():
        return text
    return text.encode("latin-1").decode(errors="surrogateescape").translate(_BROKEN)
