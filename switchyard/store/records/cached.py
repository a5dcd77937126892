"""A collection as one process knows it: read whole once, then by its changes."""

import asyncio
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from switchyard.store.records.contract import Record, Records

logger = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(slots=True)
class _Known(Generic[T]):
    epoch: str = ""
    revision: int = 0
    values: dict[str, tuple[T, int]] = field(default_factory=dict)


class CachedRecords(Generic[T]):
    """The values of a collection by their names, each with its revision; ``decode`` may raise ``ValueError``.

    All methods that are awaited raise ``StoreError`` when the store does not respond.
    """

    def __init__(self, records: Records, collection: str, decode: Callable[[bytes], T]) -> None:
        self._records = records
        self._collection = collection
        self._decode = decode
        self._known: _Known[T] = _Known()
        self._reading = asyncio.Lock()

    def __len__(self) -> int:
        return len(self._known.values)

    def __iter__(self) -> Iterator[tuple[T, int]]:
        return iter(tuple(self._known.values.values()))

    def get(self, name: str) -> tuple[T, int] | None:
        """Return what is known of a name."""
        return self._known.values.get(name)

    async def refresh(self) -> None:
        """Read what has changed."""
        async with self._reading:
            known = self._known
            page = await self._records.changes(self._collection, after=known.revision)
            if page.epoch != known.epoch or page.revision < known.revision:
                known = _Known(epoch=page.epoch)
                page = await self._records.changes(self._collection, after=0)
            while page.records:
                for record in page.records:
                    self._take(known, record)
                page = await self._records.changes(self._collection, after=known.revision)
            self._known = known

    async def put(self, name: str, value: bytes, *, expected: int) -> bool:
        """Write a value where its revision is ``expected``, 0 for none; return whether it was."""
        written = await self._records.put(self._collection, name, value, expected=expected) is not None
        await self.refresh()
        return written

    async def remove(self, names: Sequence[str]) -> None:
        """Forget values."""
        if names:
            await self._records.remove(self._collection, names)
            await self.refresh()

    def _take(self, known: _Known[T], record: Record) -> None:
        known.revision = max(known.revision, record.revision)
        try:
            known.values[record.name] = self._decode(record.value), record.revision
        except ValueError as err:  # one that cannot be read must not keep others from being
            logger.error("a record of %s cannot be read: %s: %s", self._collection, record.name, err)
            known.values.pop(record.name, None)
