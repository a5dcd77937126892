"""What a gateway lets through of limits while the store is away: its part of each, counted in its own memory."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from switchyard.gateway.quota.claims import AppliedLimit
from switchyard.gateway.quota.reservations import Reservations, StoreAwayError
from switchyard.gateway.settlements import Settlements, new_call_id
from switchyard.store.contract import StoreError
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Denial, Grant, Ledger, Level
from switchyard.telemetry.metrics.gateway import UsageMetrics

_OWNER = "(gateways)"  # no tenant has such a name
_GATEWAY = Claim("gateways", 1, 2**31, "held")
_LEASE_SECONDS = 30.0  # a gateway that was killed has a part for so long
_COUNT_SECONDS = _LEASE_SECONDS / 3
_REMEMBERED = 10_000  # budgets of which it is known how much is used


class _Budget:
    """What is known of a counter of a day or month: of the store's, and of what was taken here without the store."""

    __slots__ = ("charged", "taken", "used")

    def __init__(self) -> None:
        self.used = 0  # as the store last said
        self.taken = 0  # by calls without the store that have ended, for as long as the counter exists
        self.charged = 0  # the part of ``taken`` that ``used`` has too


_NOTHING = _Budget()


class LocalShares:
    """Counts the gateways that share the store, and has this one's part of limits while the store is away.

    A part is what was left when the store last said so (of a day or month), or the whole limit (of a minute, or at
    once, whose past is soon over), divided by the gateways that shared the store last, rounded up.
    """

    def __init__(self, ledger: Ledger, settlements: Settlements, metrics: UsageMetrics) -> None:
        self._ledger = ledger
        self._settlements = settlements
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._memory = open_ledger("sqlite::memory:")
        self._reservations = Reservations(self._memory, self._memory, lambda _: None)
        self._id = new_call_id()
        self._gateways = 0
        self._missed = False
        self._timer: asyncio.TimerHandle | None = None
        self._counting: asyncio.Task[None] | None = None
        self._budgets: dict[tuple[str, str], _Budget] = {}
        metrics.store_gateways.set_function(lambda: self._gateways)

    def saw(self, tenant: str, limits: Sequence[AppliedLimit], levels: Sequence[Level]) -> None:
        """Remember what the store says of limits that are to be held without it."""
        for one, level in zip(limits, levels, strict=True):
            if one.limit.without_store != "local":
                continue
            if self._timer is None:
                self._count_now()
            if one.ends:
                budget = self._budget(tenant, one.counter)
                budget.used = level.used
                if not self._settlements.waiting:
                    budget.charged = budget.taken

    async def reserve(
        self, tenant: str, limits: Sequence[AppliedLimit], claims: Sequence[Claim]
    ) -> tuple[str, Grant | Denial]:
        """Take ``claims`` of this gateway's part of ``limits``.

        Raises:
            StoreAwayError: the store has never said how many gateways share it.
        """
        if not self._gateways:
            raise StoreAwayError
        parts = [self._part(tenant, one, claim) for one, claim in zip(limits, claims, strict=True)]
        return await self._reservations.reserve(tenant, parts)

    async def settle(self, tenant: str, call_id: str, claims: Sequence[Claim]) -> None:
        """Put what a call took in the place of what it had reserved."""
        await self._reservations.settle(tenant, call_id, claims, None)

    def sent(self, tenant: str, claims: Sequence[Claim]) -> None:
        """Note what a call took that is now on its way to the store: written, or waiting."""
        for claim in claims:
            if claim.ends:
                self._budget(tenant, claim.counter).taken += claim.amount

    async def aclose(self) -> None:
        """Leave the gateways that share the store; may be called again."""
        if self._timer is not None:
            self._timer.cancel()
        if self._counting is not None:
            await asyncio.gather(self._counting, return_exceptions=True)
            with suppress(StoreError):
                await self._ledger.settle(_OWNER, self._id, [], None)
        await self._memory.aclose()

    def _part(self, tenant: str, one: AppliedLimit, claim: Claim) -> Claim:
        budget = self._budgets.get((tenant, one.counter), _NOTHING)
        left = max(0, one.most - budget.used)
        part = -(-left // self._gateways)
        # The counter here goes on from earlier outages, and what the store knows of them is not left any more.
        return claim._replace(limit=part + budget.charged, amount=min(claim.amount, max(1, part // 2)))

    def _budget(self, tenant: str, counter: str) -> _Budget:
        budget = self._budgets.pop((tenant, counter), None) or _Budget()
        self._budgets[tenant, counter] = budget  # the latest is last
        if len(self._budgets) > _REMEMBERED:
            del self._budgets[next(iter(self._budgets))]
        return budget

    def _count_now(self) -> None:
        self._timer = self._loop.call_later(_COUNT_SECONDS, self._count_now)
        self._counting = self._loop.create_task(self._count())

    async def _count(self) -> None:
        try:
            await self._ledger.renew(_OWNER, [self._id], lease=_LEASE_SECONDS)
            # Takes nothing where the reservation is still there, and says how many there are.
            outcome = await self._ledger.reserve(_OWNER, self._id, [_GATEWAY], lease=_LEASE_SECONDS)
        except StoreError:
            self._missed = True
            self._metrics.store_errors.labels("count").inc()
            self._metrics.store_up.set(0)
            return
        self._metrics.store_up.set(1)
        found = outcome.levels[0].used
        # After the store was away, others may not have come back to it yet.
        self._gateways = max(found, self._gateways) if self._missed else found
        self._missed = False
