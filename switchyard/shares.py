"""How much of something bounded one owner, such as a tenant, may hold: places, waiting calls, bytes of bodies."""

from typing import Literal

Full = Literal["owner", "platform"]


class Shares:
    """An amount that owners share: each may hold as much as remains free.

    So a lone owner gets half, two get a third each, and however many flood, the next one still finds as much free as
    each of them holds. Source: dynamic thresholds with alpha 1 (Choudhury, Hahne, IEEE/ACM Transactions on Networking
    6(2), 1998), by which switches share the memory of their queues.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._held: dict[str, int] = {}

    def full(self, owner: str | None, amount: int = 1) -> Full | None:
        """Return who is full if ``amount`` more does not fit; without an ``owner`` all that is free does."""
        free = self.total - self.used
        if amount > free:
            return "platform"
        if owner is None:
            return None
        held = self._held.get(owner, 0)
        return "owner" if held and held + amount > free else None

    def take(self, owner: str | None, amount: int = 1) -> None:
        """Count what was taken, also beyond what fits."""
        self.used += amount
        if owner is not None:
            self._held[owner] = self._held.get(owner, 0) + amount

    def give_back(self, owner: str | None, amount: int = 1) -> None:
        """Count what was given back."""
        self.used -= amount
        if owner is None:
            return
        held = self._held.pop(owner, 0) - amount
        if held > 0:
            self._held[owner] = held

    def held(self, owner: str) -> int:
        """Return what an owner holds."""
        return self._held.get(owner, 0)
