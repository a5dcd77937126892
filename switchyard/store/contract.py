"""What every store does; ``tests/switchyard/store/test_contract.py`` holds each implementation to it."""

from typing import Protocol


class StoreError(Exception):
    """The store cannot be reached or did not answer in time; the message says which and why."""


class Store(Protocol):
    """Values by key, each with a time to live.

    A key is any text without a zero byte; the part before its last colon names what it belongs to, and keys that share
    it lie together (in one hash slot of a Redis cluster). A value that was put stays until its time is over, whatever
    kills this process. Belongs to the event loop that first uses it.
    """

    async def get(self, key: str) -> bytes | None:
        """The value, or None when there is none or its time is over.

        Raises:
            StoreError: the store did not answer.
        """

    async def put(self, key: str, value: bytes, *, ttl: float) -> None:
        """Sets a value for ``ttl`` seconds from now; when this returns, others see it and a crash does not lose it.

        Raises:
            StoreError: the store did not answer; the value may or may not be there.
            ValueError: ``ttl`` is not positive.
        """

    async def aclose(self) -> None:
        """Waits for what is under way and lets go of files and connections; may be called again."""
