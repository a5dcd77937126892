"""The contract of collections; ``tests/switchyard/store/test_records_contract.py`` runs against each implementation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

DAY = 86400
TOUCHES_KEPT = 400 * DAY  # of records that may be elsewhere, as keys of a file: more than a year, so "never" means it


@dataclass(frozen=True, slots=True)
class Record:
    """A value by name; ``revision`` is the collection's at its last change."""

    name: str
    value: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed, in order, and the ``revision`` of the collection's last change.

    Whoever follows reads all again when ``epoch`` is another text, as records were removed or the store may have lost
    some and given their revisions to others, or when ``revision`` is less than one that was seen: what is gone is in no
    list of changes.
    """

    records: tuple[Record, ...]
    revision: int
    epoch: str


class Records(Protocol):
    """Records of several collections. All methods raise ``StoreError`` when the store does not respond."""

    async def put(self, collection: str, name: str, value: bytes, *, expected: int) -> int | None:
        """Write a record whose revision is ``expected``, 0 for none, and return its new revision.

        Return None, and write nothing, where it has another. To put the value that is there already changes nothing, so
        that an operation of unknown outcome can be repeated.
        """

    async def changes(self, collection: str, *, after: int, count: int = 1000) -> Changes:
        """Return the first ``count`` records of a revision greater than ``after``."""

    async def remove(self, collection: str, names: Sequence[str]) -> None:
        """Forget records; names without one are ignored."""

    async def touch(self, collection: str, times: Mapping[str, int]) -> None:
        """Write down when something was last used, in seconds since 1970; a later time stays.

        Names need no record, and no revision changes. Times are forgotten ``TOUCHES_KEPT`` seconds later.
        """

    async def touched(self, collection: str, names: Sequence[str]) -> Mapping[str, int]:
        """Return when each of the names was last used that are known to have been."""

    async def aclose(self) -> None:
        """Wait for operations in progress and close files and connections; may be called again."""
