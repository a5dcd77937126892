"""Odd requests, made from a seed: each oddity alone, then several together."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.differential.draft import Draft, Oddity
from tests.differential.framing import FRAMING
from tests.differential.headers import HEADERS

ALONE = (*HEADERS, *FRAMING)
_TOGETHER = (2, 2, 2, 3)


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent on one connection: an odd request, and a plain one behind it."""

    name: bytes
    oddities: tuple[str, ...]
    data: bytes

    def __str__(self) -> str:
        return " + ".join(self.oddities)


def alone() -> Iterator[Case]:
    """One case for each oddity."""
    for number, oddity in enumerate(ALONE):
        yield _case(number, (oddity,))


def together(seed: int, count: int) -> Iterator[Case]:
    """Cases of several oddities each, in different places of the request."""
    dice = random.Random(seed)
    for number in range(count):
        chosen: dict[str, Oddity] = {}
        wanted = dice.choice(_TOGETHER)
        while len(chosen) < wanted:
            oddity = dice.choice(dice.choice((HEADERS, FRAMING)))
            chosen.setdefault(oddity.place, oddity)
        # What makes a body goes first, as it sets the method that others may replace.
        yield _case(len(ALONE) + number, sorted(chosen.values(), key=lambda oddity: oddity.place != "body"))


def _case(number: int, oddities: tuple[Oddity, ...] | list[Oddity]) -> Case:
    name = b"c%05dx" % number
    draft = Draft(name)
    for oddity in oddities:
        oddity.edit(draft)
    return Case(name, tuple(oddity.name for oddity in oddities), draft.render() + draft.last())
