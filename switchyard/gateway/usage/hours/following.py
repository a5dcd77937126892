"""Keeps count of the hours of accelerators while a gateway runs."""

import asyncio
import logging
import time

from switchyard.gateway.usage.hours.charging import Charging
from switchyard.gateway.usage.hours.replicas import Look
from switchyard.gateway.usage.hours.watch import Watch
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Ledger

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0  # what lasts less may be missed, or counted for as long
_CHARGE_EVERY = 12  # looks


async def follow_hours(ledger: Ledger, look: Look) -> None:
    """Watch replicas and share out hours until cancelled; with prices of other kinds alone, do nothing."""
    watch, charging, looks = Watch(ledger, look), Charging(ledger), 0
    while True:
        # All gateways look at the same times: their minutes are alike.
        await asyncio.sleep(_LOOK_SECONDS - time.time() % _LOOK_SECONDS)
        watch.tick()
        await watch.write()
        if looks % _CHARGE_EVERY == 0:
            try:
                await charging.charge()
            except StoreError as err:
                logger.warning("hours of replicas were not shared out yet: %s", err)
        looks += 1
