"""From a signal to the end: how every serving process drains."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

from switchyard.http.server.server import Server


async def serve_until_signal(
    server: Server,
    *,
    drain_seconds: float,
    grace_seconds: float | None = None,
    on_drain: Callable[[], None],
    on_closed: Callable[[], None] = lambda: None,
    stop: asyncio.Event | None = None,
) -> None:
    """Wait for SIGTERM, SIGINT or ``stop``, then stop without losing a request.

    For ``drain_seconds`` requests are still accepted, each response the last on its connection, so that load balancers
    have time to send new clients elsewhere; then nothing is accepted, ``on_closed`` is called, and requests in flight
    have ``grace_seconds`` to finish (None for no limit). Each further signal ends a wait.
    """
    signals = _signals()
    try:
        await _first(signals.get(), *([] if stop is None else [stop.wait()]))
        on_drain()
        server.retire()
        await _first(signals.get(), asyncio.sleep(drain_seconds))
        on_closed()
        grace = [asyncio.sleep(grace_seconds)] if grace_seconds is not None else []
        await _first(signals.get(), server.drain(), *grace)
    finally:
        await server.aclose()


def _signals() -> asyncio.Queue[int]:
    """Return a queue of each SIGTERM and SIGINT."""
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


async def _first(*awaited: Coroutine[Any, Any, object]) -> None:
    """Return when the first is done; cancel the others."""
    tasks = [asyncio.create_task(one) for one in awaited]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
