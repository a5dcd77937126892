"""The batches of all tenants in the store, which are the queue of what is to be done.

A batch is held by the gateway that wrote its name into it, for as long as that one goes on to change it: who saw no
change for ``LEASE_SECONDS`` of its own clock may take it. So no two machines' clocks are compared. Source: the leader
election of Kubernetes' client-go, which does not trust the times in its record either
(https://pkg.go.dev/k8s.io/client-go/tools/leaderelection).
"""

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from switchyard.gateway.batches.batch import Batch, decode, encode
from switchyard.store.contract import StoreError
from switchyard.store.records.cached import CachedRecords
from switchyard.store.records.contract import Records

COLLECTION = "batches"
LEASE_SECONDS = 10.0  # five times what a runner lets pass between two beats, so that a slow store loses none
ACTIVE_BATCHES = 100  # of a tenant: a nightly job of a hundred files
KEPT_BATCHES = 1000  # of a tenant, the newest; every gateway knows them all, some 1 KB each
KEPT_SECONDS = 30 * 86400  # after its end, as its files are
_ATTEMPTS = 5


class UnknownBatchError(LookupError):
    """There is no such batch."""


class TooManyBatchesError(Exception):
    """A tenant has as many batches that are not done as it may."""


class LostBatchError(Exception):
    """Another gateway works on the batch now."""


class StoredBatches:
    """Batches by their ids; all that is awaited raises ``StoreError`` when the store does not respond."""

    def __init__(self, records: Records, *, now: Callable[[], float] = time.time) -> None:
        self._known = CachedRecords(records, COLLECTION, decode)
        self._now = now
        self._seen: dict[str, tuple[int, float]] = {}  # revisions, with the loop's time at which they were new

    async def refresh(self) -> None:
        """Read what has changed."""
        await self._known.refresh()
        now = asyncio.get_running_loop().time()
        seen = {}
        for batch, revision in self._known:
            if batch.is_active:
                before = self._seen.get(batch.id)
                seen[batch.id] = before if before is not None and before[0] == revision else (revision, now)
        self._seen = seen

    def get(self, tenant: str, batch_id: str) -> Batch | None:
        """Return a batch of the tenant, None if it has none of this id."""
        found = self._known.get(batch_id)
        return found[0] if found is not None and found[0].owner.tenant == tenant else None

    def listed(self, tenant: str) -> list[Batch]:
        """Return the tenant's batches, the newest first."""
        found = [batch for batch, _ in self._known if batch.owner.tenant == tenant]
        return sorted(found, key=lambda batch: (batch.created, batch.id), reverse=True)

    async def create(self, batch: Batch) -> None:
        """Write a new batch.

        Raises:
            TooManyBatchesError: too many of the tenant's are not done.
        """
        await self.refresh()
        if sum(one.is_active for one in self.listed(batch.owner.tenant)) >= ACTIVE_BATCHES:
            raise TooManyBatchesError
        await self._known.put(batch.id, encode(batch), expected=0)

    async def change(self, tenant: str, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:
        """Write what ``change`` makes of a batch, which it may be asked for several times.

        Raises:
            UnknownBatchError: the tenant has none of this id.
        """
        for _ in range(_ATTEMPTS):
            await self.refresh()
            if self.get(tenant, batch_id) is None:
                raise UnknownBatchError(batch_id)
            batch, revision = self._known.get(batch_id) or (None, 0)
            assert batch is not None
            changed = change(batch)
            if changed == batch or await self._known.put(batch_id, encode(changed), expected=revision):
                return changed
        raise StoreError(f"the batch {batch_id} was changed by others {_ATTEMPTS} times meanwhile")

    def waiting(self) -> Iterator[Batch]:
        """Yield what nobody works on: of each tenant the oldest first, and who has fewest under way before others."""
        now = asyncio.get_running_loop().time()
        held: Counter[str] = Counter()
        waiting = []
        for batch, _ in self._known:
            if not batch.is_active:
                continue
            if batch.runner and now - self._seen.get(batch.id, (0, now))[1] < LEASE_SECONDS:
                held[batch.owner.tenant] += 1
            else:
                waiting.append(batch)
        yield from sorted(waiting, key=lambda batch: (held[batch.owner.tenant], batch.created, batch.id))

    async def claim(self, batch: Batch, runner: str) -> Batch | None:
        """Take a batch that waits; None if another was faster."""
        found = self._known.get(batch.id)
        if found is None or found[0] != batch:
            return None
        claimed = replace(batch, runner=runner, beat=batch.beat + 1)
        return claimed if await self._known.put(batch.id, encode(claimed), expected=found[1]) else None

    async def hold(self, batch_id: str, runner: str, change: Callable[[Batch], Batch]) -> Batch:
        """Write what ``change`` makes of a batch that ``runner`` works on, and that it still does.

        Raises:
            LostBatchError: another works on it, or it is gone.
        """

        def changed(batch: Batch) -> Batch:
            if batch.runner != runner:
                raise LostBatchError(batch_id)
            return replace(change(batch), beat=batch.beat + 1)

        found = self._known.get(batch_id)
        try:
            return await self.change("" if found is None else found[0].owner.tenant, batch_id, changed)
        except UnknownBatchError:
            raise LostBatchError(batch_id) from None

    async def forget_ended(self) -> list[str]:
        """Forget what ended long ago, and of each tenant the oldest beyond ``KEPT_BATCHES``; return their ids."""
        await self.refresh()
        now, kept, gone = self._now(), Counter[str](), []
        for batch, _ in sorted(self._known, key=lambda one: one[0].created, reverse=True):
            kept[batch.owner.tenant] += 1
            over = kept[batch.owner.tenant] > KEPT_BATCHES
            if batch.ended is not None and (over or batch.ended + KEPT_SECONDS <= now):
                gone.append(batch.id)
        await self._known.remove(gone)
        return gone


def new_batch_id() -> str:
    """Return an id that nobody guesses."""
    return f"batch_{secrets.token_hex(16)}"
