"""Request bodies that are sent chunk by chunk."""

from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is still being received: ``chunks`` yields ``length`` bytes in all, once."""

    length: int
    chunks: AsyncIterator[bytes]


async def chunks_of(body: bytes, size: int) -> AsyncIterator[memoryview]:
    """Yield ``body`` in chunks of ``size`` bytes, without a copy."""
    view = memoryview(body)
    for start in range(0, len(view), size):
        yield view[start : start + size]
