"""Comments for a stream that waits for its model to wake, so that nothing between here and the client gives up."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from switchyard.gateway.context import Context
from switchyard.http.client import Response

_HEAD = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


async def open_with_heartbeats(
    context: Context,
    open_answer: Callable[[Context], Coroutine[Any, Any, Response]],
    *,
    seconds: float,
    patience: float,
    on_heartbeat: Callable[[str], None],
) -> Response:
    """Sends the head of an event stream after ``patience`` seconds and a comment every ``seconds`` until there is an
    answer.

    Raises:
        UpstreamError: what ``open_answer`` raised.
    """
    comment = b": waking %b\n\n" % context.model_name.encode()
    task = asyncio.create_task(open_answer(context))
    try:
        await asyncio.wait({task}, timeout=patience)
        if not task.done():
            await context.start(200, _HEAD)
        while not task.done():
            on_heartbeat(context.model_name)
            await context.send({"type": "http.response.body", "body": comment, "more_body": True})
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
