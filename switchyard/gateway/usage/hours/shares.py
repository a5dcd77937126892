"""Shares out what the hours of some models cost, to the nano-dollar: no I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=str | tuple[str, ...])

_HOUR = 3_600_000  # milliseconds


@dataclass(frozen=True, slots=True)
class Shared(Generic[Key]):
    """What each has to pay, and what nobody used: ``idle`` nano-dollars of ``idle_milliseconds`` of replicas."""

    shares: Mapping[Key, int]
    idle: int
    idle_milliseconds: int


def cost(existed: Mapping[int, int]) -> int:
    """Return the nano-dollars of replicas, which ``existed`` for so many milliseconds at each price of an hour.

    Half of a nano-dollar is rounded up, once for each price.
    """
    return sum((milliseconds * price + _HOUR // 2) // _HOUR for price, milliseconds in existed.items())


def share(nano_dollars: int, milliseconds: int, used: Mapping[Key, int]) -> Shared[Key]:
    """Share out the cost of replicas that existed for ``milliseconds``, by the milliseconds of calls of each.

    A millisecond of a call takes one of a replica, as long as there are such: so nobody pays more than the price for
    its time, and calls side by side pay less. What no call took is idle. Time and not tokens, because it is what an
    hour is made of, and every call has it, whatever its model counts.

    The sum of all shares and ``idle`` is ``nano_dollars``: whoever lost most when shares were rounded down gets one of
    those that are left (the method of the largest remainder), of equals the first by name and idle time last.
    """
    taken = sum(used.values())
    idle_milliseconds = max(0, milliseconds - taken)
    whole = taken + idle_milliseconds
    if not whole:
        return Shared({}, nano_dollars, 0)
    names = sorted(used)
    parts = [*(used[name] for name in names), idle_milliseconds]
    shares = [nano_dollars * part // whole for part in parts]
    by_loss = sorted(range(len(parts)), key=lambda place: -(nano_dollars * parts[place] % whole))
    for place in by_loss[: nano_dollars - sum(shares)]:
        shares[place] += 1
    return Shared(dict(zip(names, shares, strict=False)), shares[-1], idle_milliseconds)
