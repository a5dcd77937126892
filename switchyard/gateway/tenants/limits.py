"""Limits as the gateway keeps them: plain objects, shared by all keys and tenants that have the same."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Unit = Literal[
    "requests", "in_flight", "tokens", "input_tokens", "output_tokens", "inferences", "megapixels", "dollars"
]
Per = Literal["minute", "day", "month"]
WithoutStore = Literal["open", "closed", "local"]
# In what counters count, which have whole numbers: pixels, nano-dollars, and the unit itself of all others.
SCALES: Mapping[Unit, int] = {"megapixels": 1_000_000, "dollars": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``most`` ``per`` a time, of calls to models with a name that one of ``models`` matches.

    ``most`` is in what counters count, which is ``SCALES`` of the unit.
    ``per`` is None for requests in flight, ``models`` empty for all. A ``shadow`` is counted and denies nothing.
    While the store is away, ``without_store`` lets calls through, rejects them, or gives each gateway a part.
    """

    unit: Unit
    most: int
    per: Per | None
    models: tuple[str, ...] = ()
    shadow: bool = False
    without_store: WithoutStore = "open"

    @property
    def most_units(self) -> int | float:
        """``most`` in the limit's unit, as people write it."""
        whole, rest = divmod(self.most, scale := SCALES.get(self.unit, 1))
        return self.most / scale if rest else whole


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key is limited by: its tenant's, its team's and its own; days begin in the time zone ``zone``."""

    zone: str
    tenant: tuple[Limit, ...]
    team: tuple[Limit, ...]
    key: tuple[Limit, ...]


def read_limits(rows: Sequence[Sequence[Any]]) -> tuple[Limit, ...]:
    """Read limits as the reader writes them."""
    return tuple(map(_limit, rows))


def _limit(fields: Sequence[Any]) -> Limit:
    unit, most, per, models, shadow, without_store = fields
    return Limit(unit, most, per, tuple(models), shadow, without_store)


@lru_cache(1024)
def matcher(patterns: tuple[str, ...]) -> Callable[[str], object]:
    """Return a function that says whether a name matches one of the patterns, of letters, ``*`` and ``?``."""
    return re.compile("|".join(map(translate, patterns))).match


def may_both_match(one: str, other: str) -> bool:
    """Return whether some name matches both patterns, of letters, ``*`` and ``?``."""

    if "*" in (one, other):  # as most are
        return True

    @lru_cache(None)
    def rest(i: int, j: int) -> bool:
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            return rest(i + 1, j) or (j < len(other) and rest(i, j + 1))
        if j < len(other) and other[j] == "*":
            return rest(i, j + 1) or (i < len(one) and rest(i + 1, j))
        if i == len(one) or j == len(other):
            return False
        return (one[i] == other[j] or "?" in (one[i], other[j])) and rest(i + 1, j + 1)

    return rest(0, 0)


class Declared(Protocol):
    """A limit as the file has it."""

    @property
    def models(self) -> tuple[str, ...]:
        """Patterns of the models that it is for."""

    @property
    def counter(self) -> tuple[object, ...]:
        """What tells it from others of its owner."""


def require_used_models(owner: str, limits: Sequence[Declared], *allowed: Iterable[str]) -> None:
    """Reject a limit that could never count, and one that counts what another counts already.

    Raises:
        ValueError: there is one.
    """
    if len({limit.counter for limit in limits}) != len(limits):
        raise ValueError(f"{owner}limits: two are of the same kind, time and models; keep one")
    for limit in limits:
        for pattern in limit.models:
            for some in allowed:
                if not any(may_both_match(pattern, other) for other in some):
                    raise ValueError(
                        f"{owner}limits: {pattern} matches no model that may be used, which are {', '.join(some)}"
                    )


def checked_zone(name: str) -> str:
    """Return the name of a time zone.

    Raises:
        ValueError: there is none of this name.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone; use a name such as UTC or Europe/Berlin") from None
    return name
