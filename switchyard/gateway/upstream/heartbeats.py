"""Comments for a stream that waits for its model to wake, so that nothing between here and the client gives up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from switchyard.gateway.call import Call
from switchyard.http.client import Response

_HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


async def open_with_heartbeats(
    call: Call,
    open_response: Callable[[Call], Coroutine[Any, Any, Response]],
    *,
    seconds: float,
    patience: float,
    on_heartbeat: Callable[[str], None],
) -> Response:
    """Starts an event stream after ``patience`` seconds and a comment every ``seconds`` until there is an
    response.

    Raises:
        UpstreamError: what ``open_response`` raised.
    """
    comment = b": waking %b\n\n" % call.model_name.encode()
    task = asyncio.create_task(open_response(call))
    try:
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            call.edge.start(200, list(_HEADERS))
        while not task.done():
            on_heartbeat(call.model_name)
            call.edge.write(comment)
            await asyncio.wait({task}, timeout=seconds)
        return task.result()
    except BaseException:
        await _give_up(task)
        raise


async def _give_up(task: "asyncio.Task[Response]") -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled() and task.exception() is None:
        task.result().close()
