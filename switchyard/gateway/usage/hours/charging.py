"""Shares out the hours that are over, each once, and to the end even if the gateway that does it is killed."""

import asyncio
import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping

from switchyard.gateway.call import request_id
from switchyard.gateway.usage.entries import AMOUNTS, read_dimensions
from switchyard.gateway.usage.hours import entries
from switchyard.gateway.usage.hours.entries import Dimensions
from switchyard.gateway.usage.hours.shares import cost, share
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.ledger import Claim, Denial, Ledger, Width

logger = logging.getLogger(__name__)

_HOUR: Width = 3600
_DAY = 86400
# After an hour, by the gateway's clock: by then it is over by the store's, and all minutes of it are written.
_AFTER_SECONDS = 300
_DAYS_BACK = 7  # how long all gateways may have been away: hours before that stay as they are
_LEASE_SECONDS = 600.0
_RENEW_EVERY = 200  # shares that are written
_REMEMBERED_HOURS = 20  # for which every ledger knows what was written, less than a day
_MILLISECONDS = AMOUNTS.index("milliseconds")
_Used = Mapping[tuple[str, str], int]


class Charging:
    """Writes the shares of tenants, as entries of theirs, and what was idle, as one of the platform.

    The sums of an hour that is over change no more, so whoever shares it out again after a crash comes to the same
    entries with the same ids, which the ledger takes but once.
    """

    def __init__(self, ledger: Ledger, now: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._now = now
        self._not_before: dict[int, float] = {}

    async def charge(self) -> None:
        """Share out the hours that are over and that nobody has shared out.

        Raises:
            StoreError: the store does not respond; what is left is for the next time.
        """
        now = int(self._now())
        last = (now - _AFTER_SECONDS) // _HOUR * _HOUR
        found = await self._ledger.totals(OWNER, since=last - _DAYS_BACK * _DAY, until=last, width=_HOUR)
        hours = {total.start for total in found if Dimensions.read(total.dimensions).kind == "existed"}
        self._not_before = {hour: after for hour, after in self._not_before.items() if hour in hours}
        for hour in sorted(hours):
            if self._not_before.get(hour, 0.0) <= now:
                self._not_before[hour] = await self._charge_hour(hour)

    async def _charge_hour(self, hour: int) -> float:
        """Share out one hour; return when to look at it again."""
        ends = hour + (_DAYS_BACK + 1) * _DAY
        claim, begun = (Claim(f"{deed} {hour}", 1, 1, "period", ends=ends) for deed in ("charge", "begin"))
        call_id = request_id(None).decode()
        outcome = await self._ledger.reserve(OWNER, call_id, [claim], lease=_LEASE_SECONDS)
        if isinstance(outcome, Denial):  # it is done, or another gateway is at it, which may be killed
            return self._now() + _LEASE_SECONDS
        if not await self._begins(begun) and self._now() > hour + _REMEMBERED_HOURS * _HOUR:
            logger.error("an hour of replicas was shared out in part, and is left so", extra={"hour": hour})
            await self._ledger.settle(OWNER, call_id, [claim], None)
            return ends
        existed = await self._existed(hour)
        used = await self._used(hour, existed)
        for pool in sorted(existed):
            await self._charge_pool(hour, pool, existed[pool], used[pool], call_id)
        await self._ledger.settle(OWNER, call_id, [claim], None)
        return ends

    async def _begins(self, begun: Claim) -> bool:
        """Return whether nobody has begun before: what was written so long ago may be written twice."""
        call_id = request_id(None).decode()
        if isinstance(await self._ledger.reserve(OWNER, call_id, [begun], lease=_LEASE_SECONDS), Denial):
            return False
        await self._ledger.settle(OWNER, call_id, [begun], None)
        return True

    async def _charge_pool(self, hour: int, pool: str, existed: Mapping[int, int], used: _Used, call_id: str) -> None:
        milliseconds = sum(existed.values())
        shared = share(cost(existed), milliseconds, used)
        for number, ((tenant, dimensions), nano_dollars) in enumerate(sorted(shared.shares.items())):
            if number % _RENEW_EVERY == 0:
                await self._ledger.renew(OWNER, [call_id], lease=_LEASE_SECONDS)
            charge_id = f"hours-{hour}-{hashlib.sha256(dimensions.encode()).hexdigest()[:32]}"
            entry = entries.charge(charge_id, tenant, dimensions, hour, nano_dollars)
            await self._ledger.settle(tenant, charge_id, (), entry)
            await asyncio.sleep(0)  # a ledger may write in the event loop, and there may be thousands of shares
        idle = entries.idle(hour, pool, shared.idle, shared.idle_milliseconds, milliseconds)
        await self._ledger.settle(OWNER, f"idle {hour} {pool}", (), idle)
        logger.info("hours of replicas are shared out", extra={"pool": pool, "hour": hour, "calls_of": len(used)})

    async def _existed(self, hour: int) -> Mapping[str, Mapping[int, int]]:
        """Return for how many milliseconds replicas existed in an hour, by pool and price."""
        found: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for total in await self._ledger.totals(OWNER, since=hour, until=hour + 1, width=_HOUR):
            by = Dimensions.read(total.dimensions)
            if by.kind == "existed":
                found[by.pool][by.price] = total.amounts[0]
        return found

    async def _used(self, hour: int, pools: Mapping[str, object]) -> Mapping[str, _Used]:
        """Return the milliseconds of calls in an hour, by pool, tenant and what its sums are kept apart by."""
        found: dict[str, dict[tuple[str, str], int]] = {pool: {} for pool in pools}
        for tenant in await self._ledger.owners():
            if tenant == OWNER:
                continue
            for total in await self._ledger.totals(tenant, since=hour, until=hour + 1, width=_HOUR):
                pool = read_dimensions(total.dimensions)["pool"]
                if pool in found and len(total.amounts) > _MILLISECONDS:
                    found[pool][tenant, total.dimensions] = total.amounts[_MILLISECONDS]
        return found
