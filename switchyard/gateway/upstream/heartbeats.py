"""Comments in a stream that waits, so that no proxy or client closes it as silent."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from switchyard.gateway.call import Call

_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))
_REASON_CHARACTERS = 200  # a sentence; it is sent every second


@contextmanager
def heartbeats(
    call: Call,
    *,
    seconds: float,
    patience: float,
    reason: Callable[[], str],
    on_heartbeat: Callable[[str], None],
) -> Iterator[None]:
    """Start an event stream after ``patience`` seconds, with a comment every ``seconds`` until the block is left.

    ``reason`` returns what is said in it.
    """
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle

    def beat() -> None:
        nonlocal timer
        if not call.edge.started:
            call.edge.start(200, list(_HEADERS))
        on_heartbeat(call.model_name)
        call.edge.write(_comment(reason()))
        timer = loop.call_later(seconds, beat)

    # Timers, and no task: whatever the block awaits is cancelled, and cleaned up, as if nobody watched it.
    timer = loop.call_later(patience, beat)
    try:
        yield
    finally:
        timer.cancel()


def waking(model: str, reason: str) -> str:
    """Return what is said while a model starts; ``reason`` is why it is not ready yet, empty where nobody knows."""
    return f"waking {model}{reason and ': '}{reason}"


def _comment(reason: str) -> bytes:
    """Return an SSE comment: one line, whatever the reason holds."""
    return f": {' '.join(reason.split())[:_REASON_CHARACTERS]}\n\n".encode()
