"""The contract of every store; ``tests/switchyard/store/test_contract.py`` runs against each implementation."""

from typing import Protocol


class StoreError(Exception):
    """The store cannot be reached or did not respond in time; the message says which store and why."""


class Store(Protocol):
    """Values by key, each with a time to live.

    A key is any text without a zero byte. Keys that share the part before their last colon are stored together (in one
    hash slot of a Redis cluster). A stored value survives this process until its time to live is over. A store belongs
    to the event loop that first uses it.
    """

    async def get(self, key: str) -> bytes | None:
        """Return the value, or None when there is none or it has expired.

        Raises:
            StoreError: the store did not respond.
        """

    async def put(self, key: str, value: bytes, *, ttl: float) -> None:
        """Set a value for ``ttl`` seconds from now; on return it is visible to others and safe from a crash.

        Raises:
            StoreError: the store did not respond; the value may or may not be stored.
            ValueError: ``ttl`` is not positive.
        """

    async def aclose(self) -> None:
        """Wait for operations in progress and close files and connections; may be called again."""
