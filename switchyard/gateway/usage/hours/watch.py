"""Watches for how long replicas exist, and writes each minute down once, whichever gateway of a store does."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from switchyard.gateway.usage.hours import entries
from switchyard.gateway.usage.hours.replicas import Look, Replicas
from switchyard.gateway.usage.platform import OWNER
from switchyard.store.contract import StoreError
from switchyard.store.ledger import Ledger

logger = logging.getLogger(__name__)

_MINUTE = 60_000  # milliseconds
_GAP = 15_000  # longer without a look, and nobody knows what existed meanwhile: a process that was stopped, a new clock
# Who has not seen all of a minute waits for whoever has: the first to write it is the one that counts.
_PART_WAITS = 20_000
_MINUTES = 120  # kept while the store is away


@dataclass(slots=True)
class _Minute:
    watched: int = 0
    existed: dict[str, tuple[Replicas, int]] = field(default_factory=dict)


class Watch:
    """Counts milliseconds of replicas by server and minute; ``look`` says which exist, ``now`` is in seconds."""

    def __init__(self, ledger: Ledger, look: Look, now: Callable[[], float] = time.time) -> None:
        self._ledger = ledger
        self._look = look
        self._now = now
        self._minutes: dict[int, _Minute] = {}
        self._seen = look()
        self._looked = self._milliseconds()

    def tick(self) -> None:
        """Look which replicas exist; what existed at the last look has existed until now."""
        now = self._milliseconds()
        if self._seen is not None and 0 < now - self._looked <= _GAP:
            self._count(self._looked, now)
        self._seen = self._look()
        self._looked = now

    async def write(self) -> None:
        """Write the minutes that are over; those that the store does not take are for the next time."""
        now = self._milliseconds()
        for number, minute in sorted(self._minutes.items()):
            wait = 0 if minute.watched >= _MINUTE else _PART_WAITS
            if now < (number + 1) * _MINUTE + wait:
                continue
            try:
                await self._write(number * 60, minute)
            except StoreError as err:
                logger.warning("hours of replicas were not written yet: %s", err)
                break
            del self._minutes[number]
        while len(self._minutes) > _MINUTES:
            del self._minutes[min(self._minutes)]

    async def _write(self, start: int, minute: _Minute) -> None:
        # The ids are the same in every gateway, so the ledger takes each but once.
        for server, (replicas, milliseconds) in minute.existed.items():
            entry = entries.existed(start, server, replicas, milliseconds)
            await self._ledger.settle(OWNER, f"existed {start} {server}", (), entry)
        await self._ledger.settle(OWNER, f"watched {start}", (), entries.watched(start, minute.watched))

    def _count(self, since: int, until: int) -> None:
        assert self._seen is not None
        while since < until:
            number = since // _MINUTE
            part = min(until, (number + 1) * _MINUTE) - since
            minute = self._minutes.setdefault(number, _Minute())
            minute.watched += part
            for server, replicas in self._seen.items():
                _, before = minute.existed.get(server, (replicas, 0))
                minute.existed[server] = replicas, before + part * replicas.count
            since += part

    def _milliseconds(self) -> int:
        return int(self._now() * 1000)
