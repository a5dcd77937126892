"""One counter of a ledger: how it is stored, what it holds now and when a claim would fit.

A rolling counter is exact without remembering each call: it keeps what was taken in each sixtieth of its window and
counts a sixtieth until all of it is older than the window. No interval as long as the window then holds more than the
limit, and a steady caller gets at least 60/61 (98 %) of it. A sixtieth bounds what one counter keeps, at 61 pairs.
"""

from array import array
from typing import Protocol

from switchyard.store.ledger import Claim, Level

PARTS = 60
FOREVER = 1e11  # no counter ends then: the year 5138
HELD, PERIOD = "held:", "period:"


def stored_name(claim: Claim) -> str:
    """Return the name under which the claim is counted: another kind or window is another counter."""
    if claim.kind == "rolling":
        return f"{claim.seconds}:{claim.counter}"
    return f"{HELD if claim.kind == 'held' else PERIOD}{claim.counter}"


class Counter(Protocol):
    """A counter that was read and may be changed; ``used`` is in force now.

    ``part`` is where a claim of now is taken, and where a correction of it belongs. ``ends`` is when the counter is
    over (seconds since 1970) and ``state`` what is stored.
    """

    used: int

    @property
    def part(self) -> int: ...
    @property
    def ends(self) -> float: ...
    @property
    def state(self) -> int | bytes: ...
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
    def state(self) -> int:
        return self.used

    def take(self, amount: int, part: int) -> None:
        self.used = max(0, self.used + amount)  # what is given back may be of a period that is over

    def free_in(self, claim: Claim, now: float) -> float:
        return 0.0 if claim.kind == "held" else max(0.0, self.ends - now)


class HeldTally(Tally):
    """What is held at once; nothing need be stored of it while nobody holds anything."""

    __slots__ = ()

    def take(self, amount: int, part: int) -> None:
        super().take(amount, part)
        self.ends = FOREVER if self.used else 0.0


class Window:
    """What was taken in any ``seconds``; ``parts`` has the number of a part and what was taken in it, in turn."""

    __slots__ = ("_parts", "_seconds", "part", "used")

    def __init__(self, state: bytes, seconds: int, now: float) -> None:
        parts = array("q", state)
        part = int(now * PARTS // seconds)
        if parts and parts[-2] > part:  # the clock was set back
            part = parts[-2] if parts[-2] - part <= PARTS else part
            parts = parts if parts[-2] == part else array("q")
        over = 0
        while over < len(parts) and parts[over] < part - PARTS:
            over += 2
        self._parts = parts[over:] if over else parts
        self._seconds = seconds
        self.part = part
        self.used = sum(self._parts[1::2])

    @property
    def ends(self) -> float:
        return self._left_at(self._parts[-2]) if self._parts else 0.0

    @property
    def state(self) -> bytes:
        return self._parts.tobytes()

    def take(self, amount: int, part: int) -> None:
        parts = self._parts
        if parts and parts[-2] == part:
            parts[-1] += amount
        elif part == self.part:
            parts.extend((part, amount))
        elif part in (numbers := parts[::2]):
            parts[2 * numbers.index(part) + 1] += amount
        else:
            return  # it has left the window
        self.used += amount

    def free_in(self, claim: Claim, now: float) -> float:
        excess = self.used + claim.amount - claim.limit
        for number, amount in zip(self._parts[::2], self._parts[1::2], strict=True):
            excess -= amount
            if excess <= 0:
                return max(0.0, self._left_at(number) - now)
        return float(self._seconds)

    def _left_at(self, part: int) -> float:
        return (part + PARTS + 1) * self._seconds / PARTS


def restored(name: str, state: int | bytes | None, ends: float, now: float) -> Counter:
    """Return the counter that is stored as ``state`` under ``name``, or a new one where nothing is in force."""
    if name.startswith(HELD):
        return HeldTally(int(state or 0), ends)
    if name.startswith(PERIOD):
        return Tally(int(state or 0), ends)
    return Window(bytes(state or b""), int(name.partition(":")[0]), now)


def fits(counter: Counter, claim: Claim) -> bool:
    return not claim.enforced or counter.used + claim.amount <= claim.limit


def level(counter: Counter, claim: Claim, now: float) -> Level:
    fits_now = counter.used + claim.amount <= claim.limit
    return Level(counter.used, 0.0 if fits_now else counter.free_in(claim, now))
