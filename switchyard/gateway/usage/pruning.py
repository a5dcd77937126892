"""Forgets usage by its age, in one of the gateways that share a store."""

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from switchyard.gateway.usage.platform import is_first
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Ledger

logger = logging.getLogger(__name__)

_DAY = 86400
_LOOK_SECONDS = 600.0


async def prune_by_age(ledger: Ledger, days: int, now: Callable[[], float] = time.time) -> None:
    """Forget, once a day until cancelled, what is older than ``days`` whole days (UTC)."""
    while True:
        try:
            await prune_today(ledger, days, now())
        except StoreError as err:
            logger.warning("old usage was not pruned: %s", err)
        await asyncio.sleep(_LOOK_SECONDS)


async def prune_today(ledger: Ledger, days: int, now: float) -> bool:
    """Forget what is older than ``days`` whole days, unless a gateway has today; return whether this one did.

    One that is killed meanwhile leaves the rest for tomorrow.

    Raises:
        StoreError: the store does not respond.
    """
    today = int(now) // _DAY
    if not await is_first(ledger, f"prune {today}"):
        return False
    before = (today - days) * _DAY
    await ledger.prune(before)
    logger.info("old usage was pruned", extra={"before": datetime.fromtimestamp(before, UTC).date().isoformat()})
    return True
