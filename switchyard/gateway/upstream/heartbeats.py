"""Comments in a stream that waits for its model to wake, so that no proxy or client closes it as silent."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from switchyard.gateway.call import Call
from switchyard.http.client import Response

_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))
_REASON_CHARACTERS = 200  # a sentence; it is sent every second


async def open_with_heartbeats(
    call: Call,
    open_response: Callable[[Call], Coroutine[Any, Any, Response]],
    *,
    seconds: float,
    patience: float,
    waits_for: Callable[[str], str],
    on_heartbeat: Callable[[str], None],
) -> Response:
    """Start an event stream after ``patience`` seconds, with a comment every ``seconds`` until there is a response.

    ``waits_for`` returns the reason why a model is not ready yet, if it is known.

    Raises:
        UpstreamError: as ``open_response`` raised it.
    """
    task = asyncio.create_task(open_response(call))
    try:
        # ``wait``, not ``wait_for``, here and below: a timeout must not cancel the request that it watches.
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            call.edge.start(200, list(_HEADERS))
        while not task.done():
            on_heartbeat(call.model_name)
            call.edge.write(_comment(call.model_name, waits_for(call.model_name)))
            await asyncio.wait({task}, timeout=seconds)
        return task.result()
    except BaseException:
        await _abandon(task)
        raise


def _comment(model: str, reason: str) -> bytes:
    """Return an SSE comment: one line, whatever the reason holds. A name in the catalog has no line break."""
    told = " ".join(reason.split())[:_REASON_CHARACTERS]
    return f": waking {model}{told and ': '}{told}\n\n".encode()


async def _abandon(task: "asyncio.Task[Response]") -> None:
    task.cancel()
    await asyncio.wait({task})
    # Its response may have come in the very turn of the cancellation: then nobody else would close it.
    if not task.cancelled() and task.exception() is None:
        task.result().close()
