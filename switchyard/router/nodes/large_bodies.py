"""Conditions on large bodies, which may not keep other requests waiting."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from switchyard.router.gjson import Body

Result = TypeVar("Result")

_LARGE_BYTES = 64 * 1024  # a walk through as much text takes some 20 ms


async def tested(body: bytes, test: Callable[[Body], Result]) -> Result:
    """Return the result of ``test``, which runs in a thread of its own on a large body."""
    shared = Body(body)  # decoded once, however many conditions ask
    return await asyncio.to_thread(test, shared) if len(body) > _LARGE_BYTES else test(shared)
