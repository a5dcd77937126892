"""What a gateway lets through of limits while the store is away: its part of each, counted in its own memory."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from switchyard.gateway.quota.claims import AppliedLimit
from switchyard.gateway.quota.reservations import Reservations, StoreAwayError
from switchyard.gateway.settlements import new_call_id
from switchyard.store.contract import StoreError
from switchyard.store.factory import open_ledger
from switchyard.store.ledger import Claim, Denial, Grant, Ledger, Level
from switchyard.telemetry.metrics import GatewayMetrics

_OWNER = "(gateways)"  # no tenant has such a name
_GATEWAY = Claim("gateways", 1, 2**31, "held")
_LEASE_SECONDS = 30.0  # a gateway that was killed has a part for so long
_COUNT_SECONDS = _LEASE_SECONDS / 3
_REMEMBERED = 10_000  # budgets of which it is known how much is used


class LocalShares:
    """Counts the gateways that share the store, and has this one's part of limits while the store is away.

    A part is what was left when the store last said so (of a day or month), or the whole limit (of a minute, or at
    once, whose past is soon over), divided by the gateways that shared the store last, rounded up.
    """

    def __init__(self, ledger: Ledger, metrics: GatewayMetrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._memory = open_ledger("sqlite::memory:")
        self._reservations = Reservations(self._memory, self._memory, lambda _: None)
        self._id = new_call_id()
        self._gateways = 0
        self._missed = False
        self._timer: asyncio.TimerHandle | None = None
        self._counting: asyncio.Task[None] | None = None
        self._used: dict[tuple[str, str], int] = {}
        metrics.store_gateways.set_function(lambda: self._gateways)

    def saw(self, tenant: str, limits: Sequence[AppliedLimit], levels: Sequence[Level]) -> None:
        """Remember what the store says of limits that are to be held without it."""
        for one, level in zip(limits, levels, strict=True):
            if one.limit.without_store != "local":
                continue
            if self._timer is None:
                self._count_now()
            if one.ends:
                self._used.pop((tenant, one.counter), None)  # the latest is last
                self._used[tenant, one.counter] = level.used
                if len(self._used) > _REMEMBERED:
                    del self._used[next(iter(self._used))]

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
        left = max(0, one.most - self._used.get((tenant, one.counter), 0))
        part = -(-left // self._gateways)
        return claim._replace(limit=part, amount=min(claim.amount, max(1, part // 2)))

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
            return
        found = outcome.levels[0].used
        # After the store was away, others may not have come back to it yet.
        self._gateways = max(found, self._gateways) if self._missed else found
        self._missed = False
