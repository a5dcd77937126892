"""Comments in a stream that waits for its model to wake, so that no proxy or client closes it as silent."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from switchyard.gateway.call import Call
from switchyard.http.client import Response

_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache"))


async def open_with_heartbeats(
    call: Call,
    open_response: Callable[[Call], Coroutine[Any, Any, Response]],
    *,
    seconds: float,
    patience: float,
    on_heartbeat: Callable[[str], None],
) -> Response:
    """Start an event stream after ``patience`` seconds, with a comment every ``seconds`` until there is a response.

    Raises:
        UpstreamError: as ``open_response`` raised it.
    """
    # The name is in the catalog by now, so it holds no line break that would end the comment.
    comment = b": waking %b\n\n" % call.model_name.encode()
    task = asyncio.create_task(open_response(call))
    try:
        # ``wait``, not ``wait_for``, here and below: a timeout must not cancel the request that it watches.
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            call.edge.start(200, list(_HEADERS))
        while not task.done():
            on_heartbeat(call.model_name)
            call.edge.write(comment)
            await asyncio.wait({task}, timeout=seconds)
        return task.result()
    except BaseException:
        await _abandon(task)
        raise


async def _abandon(task: "asyncio.Task[Response]") -> None:
    task.cancel()
    await asyncio.wait({task})
    # Its response may have come in the very turn of the cancellation: then nobody else would close it.
    if not task.cancelled() and task.exception() is None:
        task.result().close()
