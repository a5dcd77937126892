"""The contract of a journal; ``tests/switchyard/store/test_journal_contract.py`` runs against each implementation."""

from typing import Protocol

Entries = list[tuple[str, bytes]]


class Journal(Protocol):
    """Entries in the order in which they were added, the same for all processes that share the store.

    An entry's cursor is text that names its place; its time is when it was added, by the store's own clock, to the
    second. All methods raise ``StoreError`` when the store does not respond, and ``ValueError`` for a cursor of no
    form that they give.
    """

    async def append(self, entry: bytes) -> str:
        """Add an entry and return its cursor; nothing changes it from then on."""

    async def older(self, *, than: str = "", count: int = 100) -> Entries:
        """Return up to ``count`` (cursor, entry), the newest first: of all, or of those before a cursor."""

    async def newer(self, *, than: str, count: int = 100) -> Entries:
        """Return the up to ``count`` entries that come next after a cursor, the newest of them first."""

    async def prune(self, *, before: int, most: int) -> None:
        """Forget entries that were added before ``before`` (seconds since 1970), and all but the last ``most``."""

    async def aclose(self) -> None:
        """Wait for operations in progress and close files and connections; may be called again."""
