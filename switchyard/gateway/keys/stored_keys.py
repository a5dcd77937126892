"""The keys of the store, as this process knows them: no call of a client asks the store for one."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from switchyard.gateway.keys.last_uses import COLLECTION, LastUses
from switchyard.gateway.keys.stored_key import StoredKey, decode, encode
from switchyard.store.contract import StoreError
from switchyard.store.records.contract import Record, Records

logger = logging.getLogger(__name__)

# Each gateway holds all of them, some 1 KB each, and the collector of garbage visits them. Who has more tenants than
# that writes them to the file, where a key is a row of an array.
MOST = 10_000
_LOOK_SECONDS = 0.5
_ATTEMPTS = 5  # to change a key that others change at the same time
_NAMED = 100  # keys in one line of the log

T = TypeVar("T")


class KeyTakenError(ValueError):
    """There is a key of this id."""


class UnknownKeyError(LookupError):
    """There is no key of this id."""


class TooManyKeysError(ValueError):
    """The store has as many keys as it may."""


@dataclass(slots=True)
class _Known:
    """What was read: ``by_hash`` has the id and the end of each secret that may be valid."""

    epoch: str = ""
    revision: int = 0
    by_id: dict[str, tuple[StoredKey, int]] = field(default_factory=dict)
    by_hash: dict[bytes, tuple[StoredKey, int | None]] = field(default_factory=dict)

    def take(self, record: Record) -> None:
        self.revision = max(self.revision, record.revision)
        if (before := self.by_id.get(record.name)) is not None:
            for secret in before[0].secrets:
                self.by_hash.pop(bytes.fromhex(secret.sha256), None)
        try:
            key = decode(record.value)
        except ValueError as err:  # one that cannot be read must not keep others from being
            logger.error("the key %s of the store gives no access: %s", record.name, err)
            self.by_id.pop(record.name, None)
            return
        self.by_id[record.name] = key, record.revision
        for secret in key.secrets:
            ends = [end for end in (key.ends, secret.ends) if end is not None]
            self.by_hash[bytes.fromhex(secret.sha256)] = key, min(ends, default=None)


class StoredKeys:
    """Follows the keys of the store, within a second, and changes them; ``now`` returns seconds since 1970.

    What is known stays in force while the store does not respond; ``on_read`` is told whether it did. ``uses`` is when
    keys were last used.
    """

    def __init__(self, records: Records, *, now: Callable[[], float] = time.time) -> None:
        self.uses = LastUses(records, now=now)
        self._records = records
        self._now = now
        self._known = _Known()
        self._reading = asyncio.Lock()
        self._outdated = False
        self.on_read: Callable[[bool], None] = lambda valid: None

    def __len__(self) -> int:
        return len(self._known.by_id)

    def find(self, hashed: bytes) -> tuple[StoredKey, int | None] | None:
        """Return the key of a SHA-256 and when it ends, None if there is none."""
        return self._known.by_hash.get(hashed)

    def get(self, key_id: str) -> StoredKey | None:
        """Return the key of an id, None if there is none."""
        found = self._known.by_id.get(key_id)
        return None if found is None or found[0].is_forgotten(self._now()) else found[0]

    def listed(self) -> list[StoredKey]:
        """Return all keys by the time at which they were created."""
        now = self._now()
        keys = [key for key, _ in self._known.by_id.values() if not key.is_forgotten(now)]
        return sorted(keys, key=lambda key: (key.created, key.id))

    async def refresh(self) -> None:
        """Read what has changed.

        Raises:
            StoreError: the store did not respond.
        """
        async with self._reading:
            known = self._known
            page = await self._records.changes(COLLECTION, after=known.revision)
            if page.epoch != known.epoch or page.revision < known.revision:
                known = _Known(epoch=page.epoch)
                page = await self._records.changes(COLLECTION, after=0)
            while page.records:
                for record in page.records:
                    known.take(record)
                page = await self._records.changes(COLLECTION, after=known.revision)
            if known is not self._known:
                self._log_returned(known)
            self._known = known

    def _log_returned(self, read: _Known) -> None:
        """Log which keys a store that has lost changes makes valid again: it is the truth, but operators must know."""
        before, now = self._known.by_id, self._now()
        returned = sorted(
            key.id
            for key, _ in read.by_id.values()
            if key.id in before and key.status(now) == "active" and _is_earlier(key, before[key.id][0])
        )
        if returned:
            more = f" and {len(returned) - _NAMED} more" if len(returned) > _NAMED else ""
            logger.error(
                "the store has lost changes of keys: what was revoked or replaced may be valid again; revoke or rotate"
                " these keys once more: %s%s",
                ", ".join(returned[:_NAMED]),
                more,
            )

    async def follow(self) -> None:
        """Read again and again, and write down last uses, until cancelled."""
        while True:
            await self.try_refresh()
            await self.uses.flush_when_due()
            await asyncio.sleep(_LOOK_SECONDS)

    async def try_refresh(self) -> None:
        """Read what has changed, and log once that the store does not respond."""
        try:
            await self.refresh()
        except StoreError as err:
            if not self._outdated:
                logger.error("keys of the store stay as they are known: %s", err)
            self._outdated = True
        else:
            self._outdated = False
        self.on_read(not self._outdated)

    async def create(self, key: StoredKey) -> None:
        """Write a new key.

        Raises:
            KeyTakenError: its id is taken.
            TooManyKeysError: there are too many.
            StoreError: the store did not respond; the key may exist, and nobody has it.
        """
        await self.refresh()
        await self._forget()
        if key.id in self._known.by_id:
            raise KeyTakenError(key.id)
        if len(self) >= MOST:
            raise TooManyKeysError
        if await self._records.put(COLLECTION, key.id, encode(key), expected=0) is None:
            raise KeyTakenError(key.id)
        await self.refresh()

    async def change(self, key_id: str, change: Callable[[StoredKey], tuple[StoredKey, T]]) -> tuple[StoredKey, T]:
        """Write what ``change`` makes of a key, which it may be asked for several times; return what it returned.

        Raises:
            UnknownKeyError: there is no such key.
            StoreError: the store did not respond, or others changed the key each time.
        """
        for _ in range(_ATTEMPTS):
            await self.refresh()
            found = self._known.by_id.get(key_id)
            if found is None or found[0].is_forgotten(self._now()):
                raise UnknownKeyError(key_id)
            changed = change(found[0])
            if await self._records.put(COLLECTION, key_id, encode(changed[0]), expected=found[1]) is not None:
                await self.refresh()
                return changed
        raise StoreError(f"the key {key_id} was changed by others {_ATTEMPTS} times meanwhile")

    async def aclose(self) -> None:
        """Write down last uses and close the store."""
        await self.uses.flush()
        await self._records.aclose()

    async def _forget(self) -> None:
        now = self._now()
        ended = [key_id for key_id, (key, _) in self._known.by_id.items() if key.is_forgotten(now)]
        if ended:
            await self._records.remove(COLLECTION, ended)
            await self.refresh()


def _is_earlier(key: StoredKey, known: StoredKey) -> bool:
    """Return whether this is ``known`` as it was before it was revoked or rotated, and no new key of its id."""
    return key.created == known.created and (known.revoked is not None or key.issued < known.issued)
