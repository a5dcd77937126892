"""When keys were last used: counted in memory, written seldom and all at once."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from switchyard.store.contract import StoreError
from switchyard.store.records.contract import Records

logger = logging.getLogger(__name__)

COLLECTION = "keys"
FLUSH_SECONDS = 300.0  # how exact a last use is
_AT_ONCE = 1000  # of one write, which others wait for


class LastUses:
    """Uses of keys by their ids, of the file's keys too; ``now`` returns seconds since 1970.

    Only ids of known keys come here, so there are no more of them than keys.
    """

    def __init__(self, records: Records, *, now: Callable[[], float] = time.time) -> None:
        self._records = records
        self._now = now
        self._used: set[str] = set()
        self._flushed = time.monotonic()

    def note(self, key_id: str) -> None:
        """Take down that a key was used now."""
        self._used.add(key_id)

    async def of(self, key_ids: Sequence[str]) -> Mapping[str, int]:
        """Return when keys were last used, in seconds since 1970, of those that are known to have been.

        Raises:
            StoreError: the store did not respond.
        """
        return await self._records.touched(COLLECTION, key_ids)

    async def flush_when_due(self) -> None:
        """Write down the uses if the last time is long enough ago."""
        if time.monotonic() - self._flushed >= FLUSH_SECONDS:
            await self.flush()

    async def flush(self) -> None:
        """Write down the uses since the last time; what the store does not take is lost until the key's next use."""
        self._flushed = time.monotonic()
        used, self._used = self._used, set()
        at, ids = int(self._now()), iter(used)
        try:
            while some := list(islice(ids, _AT_ONCE)):
                await self._records.touch(COLLECTION, dict.fromkeys(some, at))
        except StoreError as err:
            logger.warning("last uses of keys were not written: %s", err)
