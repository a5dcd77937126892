"""Writes what calls took to the ledger, and what it did not take again, until it does."""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from switchyard.store.contract import StoreError
from switchyard.store.ledger import Claim, Entry, Ledger, Level
from switchyard.telemetry.metrics.gateway import UsageMetrics

logger = logging.getLogger(__name__)

MOST_WAITING = 20_000  # calls, of 2 KB each at most: minutes of a busy gateway
AGAIN_SECONDS = 0.25  # until then a gateway that is killed loses what waits


class _Settlement(NamedTuple):
    owner: str
    call_id: str
    claims: Sequence[Claim]
    entry: Entry | None


class Settlements:
    """Settles calls in a ledger: at once, or when the store responds again.

    A store that is away keeps no response waiting twice: further calls wait their turn here until it is back. A call
    that was settled before the store went away, so that nobody knows, is settled again, which does nothing.
    """

    def __init__(self, ledger: Ledger, metrics: UsageMetrics) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._loop = asyncio.get_running_loop()
        self._away = False  # then only what waits is tried, one after the other
        self._waiting: deque[_Settlement] = deque()
        self._task: asyncio.Task[None] | None = None
        metrics.usage_waiting.set_function(lambda: len(self._waiting))

    @property
    def waiting(self) -> bool:
        """Whether there are calls that the store does not know yet."""
        return bool(self._waiting)

    async def settle(self, owner: str, call_id: str, claims: Sequence[Claim], entry: Entry | None) -> Sequence[Level]:
        """Write what a call took; if the store does not respond, or the caller is cancelled meanwhile, later.

        Returns the levels of ``claims``, of none where they are written later or the call was settled. Never raises
        ``StoreError``.
        """
        one = _Settlement(owner, call_id, claims, entry)
        levels = None
        try:
            if not self._away:
                levels = await self._written(one)
        finally:  # what was begun may not have been written: then nobody knows, and to settle it again is safe
            if levels is None:
                self._keep(one)
        return levels or ()

    async def aclose(self) -> None:
        """Write what still waits, or log what the store does not take; may be called again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._write_waiting()
        while self._waiting:
            self._lose(self._waiting.popleft())

    def _keep(self, one: _Settlement) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._lose(one)
            return
        self._waiting.append(one)
        if self._task is None:
            self._task = self._loop.create_task(self._write_late())

    async def _write_late(self) -> None:
        while self._waiting:
            await asyncio.sleep(AGAIN_SECONDS)
            await self._write_waiting()
        self._task = None

    async def _write_waiting(self) -> None:
        while self._waiting:
            try:
                if await self._written(self._waiting[0]) is None:
                    return
            except Exception:  # one call that cannot be settled must not keep all after it from being so
                logger.exception("a call cannot be settled")
                self._lose(self._waiting[0])
            self._waiting.popleft()

    async def _written(self, one: _Settlement) -> Sequence[Level] | None:
        """Return the levels, None if the store does not respond."""
        try:
            levels = await self._ledger.settle(one.owner, one.call_id, one.claims, one.entry) or ()
        except StoreError as err:
            self._away = True
            self._metrics.store_up.set(0)
            self._metrics.store_errors.labels("settle").inc()
            logger.warning("the store did not settle: %s", err)
            return None
        if self._away:
            self._away = False
            self._metrics.store_up.set(1)
        return levels

    def _lose(self, one: _Settlement) -> None:
        """Log and count an entry that the store did not take: it can be added to the bill by hand."""
        if one.entry is not None:
            self._metrics.usage_unwritten.inc()
            logger.error("usage was not written", extra={"usage": one.entry.row.decode()})


def new_call_id() -> str:
    """Return an id for a call in the ledger: clients choose their x-request-id, and may send one twice.

    It begins with the time, so that the ledger's index of ids grows at its end, where it is in memory.
    """
    return f"{time.time_ns() // 1000:014x}{random.getrandbits(72):018x}"
