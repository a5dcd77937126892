"""Bodies that are sent piece by piece."""

from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that is still on its way here: ``pieces`` yields ``length`` bytes in all, once."""

    length: int
    pieces: AsyncIterator[bytes]


async def cut(body: bytes, size: int) -> AsyncIterator[memoryview]:
    """``body`` in pieces of ``size`` bytes, without a copy."""
    view = memoryview(body)
    for start in range(0, len(view), size):
        yield view[start : start + size]
