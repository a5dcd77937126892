"""One counter of a ledger: how it is stored, what it holds now and when a claim would fit.

A rolling counter is exact without remembering each call: it keeps what was taken in each sixtieth of its window and
counts a sixtieth until all of it is older than the window. No interval as long as the window then holds more than the
limit, and a steady caller gets at least 60/61 (98 %) of it. A sixtieth bounds what one counter keeps, at 61 amounts.
"""

from functools import lru_cache
from typing import Any, Protocol

from switchyard.store.ledger import Claim, Level

PARTS = 60
FOREVER = 1e11  # no counter ends then: the year 5138
HELD, PERIOD = "held:", "period:"


@lru_cache(8192)
def stored_name(counter: str, kind: str, seconds: int) -> str:
    """Return the name under which a claim is counted: another kind or window is another counter."""
    if kind == "rolling":
        return f"{seconds}:{counter}"
    return f"{HELD if kind == 'held' else PERIOD}{counter}"


class Counter(Protocol):
    """A counter; ``used`` is in force at the last ``move_to``.

    ``part`` is where a claim of now is taken, and where a correction of it belongs. ``ends`` is when the counter is
    over (seconds since 1970) and ``state`` what is stored.
    """

    used: int
    ends: float
    part: int

    @property
    def state(self) -> Any: ...
    def move_to(self, now: float) -> None:
        """Forget what is over by ``now``."""

    def take(self, amount: int, part: int) -> None:
        """Take ``amount``, or give back where it is negative, in ``part``."""

    def free_in(self, claim: Claim, now: float) -> float:
        """Return in how many seconds a claim would fit that does not fit now."""


class Tally:
    """What is held at once, or what was taken until the period ends."""

    __slots__ = ("ends", "part", "used")

    def __init__(self, used: int, ends: float) -> None:
        self.used = used
        self.ends = ends
        self.part = 0

    @property
    def state(self) -> tuple[int, float]:
        return self.used, self.ends

    def move_to(self, now: float) -> None:
        if self.ends <= now:
            self.used = 0

    def take(self, amount: int, part: int) -> None:
        self.used = max(0, self.used + amount)  # what is given back may be of a period that is over

    def free_in(self, claim: Claim, now: float) -> float:
        return 0.0 if claim.kind == "held" else max(0.0, self.ends - now)


class HeldTally(Tally):
    """What is held at once; nothing need be stored of it while nobody holds anything."""

    __slots__ = ()

    def take(self, amount: int, part: int) -> None:
        self.used = max(0, self.used + amount)
        self.ends = FOREVER if self.used else 0.0


class Window:
    """What was taken in any ``seconds``: an amount for each part, the last for the part ``newest``."""

    __slots__ = ("_amounts", "_newest", "_seconds", "ends", "part", "used")

    def __init__(self, newest: int, amounts: list[int], seconds: int) -> None:
        self._newest = newest
        self._amounts = amounts
        self._seconds = seconds
        self.part = newest
        self.used = sum(amounts)
        self.ends = self._left_at(newest) if amounts else 0.0

    @property
    def state(self) -> tuple[int, list[int]]:
        return self._newest, self._amounts

    def move_to(self, now: float) -> None:
        self.part = part = int(now * PARTS // self._seconds)
        if not self._amounts:
            return
        behind = part - self._newest
        if behind < -PARTS:  # the clock was set back by more than a window
            self._keep(0)
        elif behind < 0:
            self.part = self._newest
        elif len(self._amounts) > PARTS + 1 - behind:
            self._keep(max(0, PARTS + 1 - behind))

    def take(self, amount: int, part: int) -> None:
        amounts = self._amounts
        if part == self.part and (not amounts or part > self._newest):
            amounts.extend([0] * (part - self._newest - 1) if amounts else ())
            amounts.append(amount)
            self._newest = part
            self.ends = self._left_at(part)
        else:
            place = len(amounts) - 1 - self._newest + part
            if not 0 <= place < len(amounts) or amounts[place] + amount < 0:
                return  # it has left the window
            amounts[place] += amount
        self.used += amount

    def free_in(self, claim: Claim, now: float) -> float:
        excess = self.used + claim.amount - claim.limit
        for part, amount in enumerate(self._amounts, self._newest + 1 - len(self._amounts)):
            excess -= amount
            if amount and excess <= 0:
                return max(0.0, self._left_at(part) - now)
        return float(self._seconds)

    def _keep(self, count: int) -> None:
        over = len(self._amounts) - count
        self.used -= sum(self._amounts[:over])
        del self._amounts[:over]
        if not count:
            self.ends = 0.0

    def _left_at(self, part: int) -> float:
        return (part + PARTS + 1) * self._seconds / PARTS


def new_counter(name: str) -> Counter:
    """Return an empty counter of a stored name; a period gets its end from a claim."""
    if name.startswith(HELD):
        return HeldTally(0, 0.0)
    if name.startswith(PERIOD):
        return Tally(0, 0.0)
    return Window(0, [], _seconds(name))


def restored(name: str, state: Any) -> Counter:
    """Return the counter of a stored name whose ``state`` was stored."""
    if name.startswith(HELD):
        return HeldTally(*state)
    if name.startswith(PERIOD):
        return Tally(*state)
    newest, amounts = state
    return Window(newest, amounts, _seconds(name))


def _seconds(name: str) -> int:
    return int(name.partition(":")[0])


def level(counter: Counter, claim: Claim, now: float) -> Level:
    fits_now = counter.used + claim.amount <= claim.limit
    return Level(counter.used, 0.0 if fits_now else counter.free_in(claim, now))
