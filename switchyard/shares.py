"""How much of something bounded one tenant may hold: places of the gateway, waiting calls, their bytes."""

from typing import Literal

Full = Literal["tenant", "platform"]


class Shares:
    """An amount that tenants share: each may hold as much as remains free.

    So a lone tenant gets half, two get a third each, and however many flood, the next one still finds as much free as
    each of them holds. Source: dynamic thresholds with alpha 1 (Choudhury, Hahne, IEEE/ACM Transactions on Networking
    6(2), 1998), by which switches share the memory of their queues.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0
        self._held: dict[str, int] = {}

    def full(self, tenant: str | None, amount: int = 1) -> Full | None:
        """Return who is full if ``amount`` more does not fit; without a ``tenant`` all that is free does."""
        free = self.total - self.used
        if amount > free:
            return "platform"
        if tenant is None:
            return None
        held = self._held.get(tenant, 0)
        return "tenant" if held and held + amount > free else None

    def take(self, tenant: str | None, amount: int = 1) -> None:
        """Count what was taken, also beyond what fits."""
        self.used += amount
        if tenant is not None:
            self._held[tenant] = self._held.get(tenant, 0) + amount

    def give_back(self, tenant: str | None, amount: int = 1) -> None:
        """Count what was given back."""
        self.used -= amount
        if tenant is None:
            return
        held = self._held.pop(tenant, 0) - amount
        if held > 0:
            self._held[tenant] = held

    def held(self, tenant: str) -> int:
        """Return what a tenant holds."""
        return self._held.get(tenant, 0)
